//! `qmp proxy`: many clients on one monitor.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tinamou_client::Address;

use crate::listen::Listener;
use crate::proxy::{
    Audit, Behind, CommandPattern, Config, Policy, Proxy, Rule, Slow, serve_metrics,
};
use crate::recording::Redaction;
use crate::{Error, Exit, Global, Output, connect};

const HELP: &str = "\
A client that does not read is disconnected once --backlog bytes wait for it, or misses events with
--slow drop; it never holds up another. When the server is lost, clients stay: what was under way
gets an error, and so does what comes before the server is back.

Examples:
  qmp proxy ./shared.sock --to vm.sock
  qmp proxy ./look.sock --to vm.sock --read-only --metrics tcp:127.0.0.1:9100
  qmp proxy ./ops.sock tls:0.0.0.0:4444 --to vm.sock --tls /etc/pki/qemu --policy policy.toml --audit audit.jsonl";

/// The time that clients have to read the last of their output.
const FAREWELL: Duration = Duration::from_secs(2);

/// What `qmp proxy` takes.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Options {
    /// Where to listen; may be repeated
    #[arg(value_name = "LISTEN", required = true)]
    listen: Vec<Address>,
    /// Where the server listens
    #[arg(long, value_name = "ADDR")]
    to: Address,
    /// Let clients in over TLS that show no certificate
    #[arg(long)]
    anonymous: bool,
    /// Listen beyond this host without TLS
    #[arg(long)]
    insecure: bool,
    /// Allow only commands that look
    #[arg(long)]
    read_only: bool,
    /// Allow only these: 'NAME [MEMBER=VALUE]…', with `*` for anything; may be repeated
    #[arg(long, value_name = "COMMAND")]
    allow: Vec<CommandPattern>,
    /// Do not allow these, given in the same way
    #[arg(long, value_name = "COMMAND")]
    deny: Vec<CommandPattern>,
    /// Hold each client to this many commands a second
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Rules for some clients, by user, group or certificate (TOML)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Append what clients do to a file, as JSON lines
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Hide a member in it, besides passwords and secrets: COMMAND.MEMBER…; may be repeated
    #[arg(long, value_name = "PATH")]
    redact: Vec<Redaction>,
    /// Serve metrics for Prometheus here, over HTTP
    #[arg(long, value_name = "LISTEN")]
    metrics: Option<Address>,
    /// What becomes of clients that do not read
    #[arg(long, value_name = "HOW", default_value = "close")]
    slow: Slow,
    /// How many bytes may wait for a client
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    backlog: usize,
    /// End when the server does, instead of waiting for it to come back
    #[arg(long)]
    end_with_server: bool,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let addresses = options.listen.iter().chain(&options.metrics);
    if !options.insecure {
        addresses.clone().try_for_each(refuse_open)?;
    }
    let (proxy, mut behind) = Proxy::new(config(&options, global)?);
    let link = behind.connect(&options.to).await?;
    let tls = global.credentials.server(!options.anonymous);
    if options.anonymous && tls.is_none() {
        return Err(Error::usage("--anonymous says something of --tls only"));
    }
    for address in &options.listen {
        let listener = Listener::bind(address, tls.as_ref()).await?;
        output.note(&format!("listening at {}", listener.name()));
        let proxy = proxy.clone();
        tokio::spawn(async move { proxy.serve(&listener).await });
    }
    if let Some(address) = &options.metrics {
        let listener = Listener::bind(address, tls.as_ref()).await?;
        output.note(&format!("metrics at {}", listener.name()));
        tokio::spawn(serve_metrics(proxy.clone(), listener));
    }
    tokio::select! {
        () = pass(&mut behind, link, &options, output) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::io("signals"))?,
    }
    farewell(&proxy).await;
    Ok(Exit::Done)
}

/// Passes on what comes until the server ends, if it may.
async fn pass(
    behind: &mut Behind,
    mut link: crate::proxy::Link,
    options: &Options,
    output: &Output,
) {
    loop {
        let lost = behind.pass(link).await;
        output.note(&format!("{}: {}", options.to, lost.0));
        if options.end_with_server {
            return;
        }
        link = behind.reconnect(&options.to).await;
        output.note(&format!("{} is back", options.to));
    }
}

async fn farewell(proxy: &Proxy) {
    proxy.dismiss();
    let left = async {
        while proxy.clients() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Those who do not read are left behind.
    let _ = tokio::time::timeout(FAREWELL, left).await;
}

fn config(options: &Options, global: &Global) -> Result<Config, Error> {
    let everyone = Rule {
        title: "everyone".to_owned(),
        read_only: options.read_only,
        allow: options.allow.clone(),
        deny: options.deny.clone(),
        rate: options.rate,
        ..Rule::default()
    };
    everyone.check().map_err(Error::usage)?;
    let policy = match &options.policy {
        Some(path) => read_policy(path, everyone)?,
        None => Policy::everyone(everyone),
    };
    let audit = options.audit.as_ref().map(|path| {
        let opened = Audit::open(path);
        opened.map_err(Error::io(path.display().to_string()))
    });
    Ok(Config {
        server: connect::builder(&options.to, global)?,
        policy,
        audit: audit.transpose()?,
        redact: options.redact.clone(),
        slow: options.slow,
        backlog: options.backlog,
    })
}

fn read_policy(path: &Path, everyone: Rule) -> Result<Policy, Error> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(Error::io(&*shown))?;
    Policy::parse(&text, everyone).map_err(|reason| Error::usage(format!("{shown}: {reason}")))
}

/// Refuses to let the whole network in.
fn refuse_open(address: &Address) -> Result<(), Error> {
    let Address::Tcp { host, .. } = address else {
        return Ok(());
    };
    let is_local = match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost",
    };
    match is_local {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "{address} lets everyone in who can reach this host: use tls: with --tls, or say --insecure"
        ))),
    }
}
