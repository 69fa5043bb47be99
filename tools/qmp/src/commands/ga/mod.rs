//! `qmp ga`: the agent inside a guest.

mod copy;
mod exec;
mod power;
mod progress;
mod show;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tinamou_client::{Address, Client, TypedCommand};
use tinamou_interface::qga::{
    GuestFsfreezeFreeze, GuestFsfreezeFreezeList, GuestFsfreezeStatusCommand, GuestFsfreezeThaw,
    GuestFstrim, GuestGetTime, GuestGetUsers, GuestInfo, GuestNetworkGetInterfaces, GuestPing,
};

use crate::cli::seconds;
use crate::{Error, Exit, Global, Output, connect};
use power::Suspension;

const EXAMPLES: &str = "\
Examples:
  qmp ga agent.sock ping
  qmp ga agent.sock cat /etc/os-release
  qmp ga agent.sock exec -- uname -a
  qmp ga agent.sock copy guest:/var/log/messages .
  qmp ga agent.sock fsfreeze freeze";

/// What `qmp ga` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where the agent's channel is: the socket of its character device
    #[arg(value_name = "ADDR")]
    address: Address,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print a file of the guest
    Cat {
        /// Its path in the guest
        file: String,
    },
    /// Copy a file into the guest or out of it
    Copy(copy::Options),
    /// Run a program in the guest
    Exec(exec::Options),
    /// Freeze the guest's file systems for a snapshot, and thaw them
    Fsfreeze {
        #[command(subcommand)]
        verb: Fsfreeze,
    },
    /// Give blocks that file systems do not use back to the disks
    Fstrim {
        /// Leave alone what is shorter, in bytes
        #[arg(value_name = "MINIMUM")]
        minimum: Option<i64>,
    },
    /// Stop the guest, and leave its power on
    Halt,
    /// List network interfaces and their addresses
    Ifconfig,
    /// Tell the agent's version and commands
    Info,
    /// Ask whether the agent is there
    Ping {
        /// How many seconds it has to answer
        #[arg(value_name = "TIMEOUT", value_parser = seconds)]
        within: Option<Duration>,
    },
    /// Shut the guest down
    Powerdown,
    /// Reboot the guest
    Reboot,
    /// Shut the guest down
    Shutdown,
    /// Suspend the guest
    Suspend {
        /// To where
        mode: Suspension,
    },
    /// Tell the guest's time
    Time,
    /// List who is logged in
    Users,
}

#[derive(Debug, Subcommand)]
enum Fsfreeze {
    /// Tell whether they are frozen
    Status,
    /// Freeze them, and tell how many there are
    Freeze {
        /// Where those are mounted that are meant; all without
        mountpoints: Vec<String>,
    },
    /// Thaw them, and tell how many there are
    Thaw,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let mut global = global.clone();
    if let Verb::Ping { within } = &options.verb {
        global.timeout = within.or(global.timeout);
    }
    let client = connect::agent(&options.address, &global).await?;
    let agent = Agent {
        client: &client,
        output,
    };
    match options.verb {
        Verb::Cat { file } => copy::cat(&client, &file, output).await,
        Verb::Copy(options) => copy::run(options, &client, output).await,
        Verb::Exec(options) => exec::run(options, &client, output).await,
        Verb::Fsfreeze { verb } => agent.freeze(verb).await,
        Verb::Fstrim { minimum } => agent.trim(minimum).await,
        Verb::Halt => power::shut_down(&client, "halt", output).await,
        Verb::Ifconfig => {
            let command = GuestNetworkGetInterfaces;
            agent.show(command, |reply| show::interfaces(&reply)).await
        }
        Verb::Info => agent.show(GuestInfo, |reply| show::info(&reply)).await,
        Verb::Ping { .. } => agent.print(GuestPing).await,
        Verb::Powerdown | Verb::Shutdown => power::shut_down(&client, "powerdown", output).await,
        Verb::Reboot => power::shut_down(&client, "reboot", output).await,
        Verb::Suspend { mode } => power::suspend(&client, mode, output).await,
        Verb::Time => {
            agent
                .show(GuestGetTime, |time| vec![show::time(time)])
                .await
        }
        Verb::Users => {
            let users = client.call(GuestGetUsers).await?;
            match output.is_json() {
                true => output.value(&json!(users))?,
                false => output.columns(&show::users(&users))?,
            }
            Ok(Exit::Done)
        }
    }
}

/// An agent, and where its answers go.
struct Agent<'a> {
    client: &'a Client,
    output: &'a Output,
}

impl Agent<'_> {
    /// Prints what a command returns.
    async fn print<C: TypedCommand>(&self, command: C) -> Result<Exit, Error> {
        let value = self.client.request(C::NAME, &command).value().await?;
        self.output.value(&value)?;
        Ok(Exit::Done)
    }

    /// Prints what a command returns in a form for people, or as it is.
    async fn show<C: TypedCommand>(
        &self,
        command: C,
        text: impl FnOnce(C::Return) -> Vec<String>,
    ) -> Result<Exit, Error> {
        if self.output.is_json() {
            return self.print(command).await;
        }
        for line in text(self.client.call(command).await?) {
            self.output.line(&line)?;
        }
        Ok(Exit::Done)
    }

    async fn freeze(&self, verb: Fsfreeze) -> Result<Exit, Error> {
        match verb {
            Fsfreeze::Status => self.print(GuestFsfreezeStatusCommand).await,
            Fsfreeze::Freeze { mountpoints } if mountpoints.is_empty() => {
                self.count(GuestFsfreezeFreeze, "frozen").await
            }
            Fsfreeze::Freeze { mountpoints } => {
                let mountpoints = Some(mountpoints);
                let command = GuestFsfreezeFreezeList { mountpoints };
                self.count(command, "frozen").await
            }
            Fsfreeze::Thaw => self.count(GuestFsfreezeThaw, "thawed").await,
        }
    }

    /// Tells of how many file systems something was done.
    async fn count<C: TypedCommand<Return = i64>>(
        &self,
        command: C,
        done: &str,
    ) -> Result<Exit, Error> {
        let text = |count| vec![format!("{count} filesystems {done}")];
        self.show(command, text).await
    }

    async fn trim(&self, minimum: Option<i64>) -> Result<Exit, Error> {
        let trimmed = self.client.call(GuestFstrim { minimum }).await?;
        match self.output.is_json() {
            true => self.output.value(&json!(trimmed))?,
            false => self.output.columns(&show::trimmed(&trimmed))?,
        }
        let failed = trimmed.paths.iter().any(|path| path.error.is_some());
        Ok(match failed {
            true => Exit::Differences,
            false => Exit::Done,
        })
    }
}
