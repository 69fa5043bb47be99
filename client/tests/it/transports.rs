//! All the ways to reach a server, with real QEMU at the other end.

use crate::peer::{Qemu, qemu_is_missing, wait_for};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tinamou_client::{Address, Client, Error, Stage, Tls};

async fn check(address: &Address) {
    let client = Client::connect(address).await.unwrap_or_else(|error| {
        panic!("{address}: {error}");
    });
    let name = client.execute("query-name", ()).await.expect("it answers");
    assert_eq!(name, json!({"name": "peer"}), "{address}");
}

/// A QEMU whose monitor is at this `-qmp` address.
async fn qemu_at(monitor: &str) -> Option<Qemu> {
    let qemu = Qemu::start(&["-M", "none", "-S", "-name", "peer", "-qmp", monitor])?;
    // Its first monitor answers when all of them are there.
    qemu.client().await;
    Some(qemu)
}

/// A port that nobody uses just now.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("ports are left");
    socket.local_addr().expect("it is bound").port()
}

#[tokio::test]
async fn tcp() {
    let port = free_port();
    let monitor = format!("tcp:127.0.0.1:{port},server=on,wait=off");
    let Some(_qemu) = qemu_at(&monitor).await else {
        return;
    };
    check(&format!("127.0.0.1:{port}").parse().unwrap()).await;
    check(&format!("tcp:localhost:{port},server=on").parse().unwrap()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn abstract_names() {
    let name = format!("tinamou-client-{}", std::process::id());
    let monitor = format!("unix:{name},abstract=on,server=on,wait=off");
    let Some(_qemu) = qemu_at(&monitor).await else {
        return;
    };
    check(&format!("unix:@{name}").parse().unwrap()).await;
}

#[tokio::test]
async fn long_paths() {
    let Some(qemu) = qemu_at("null").await else {
        return;
    };
    let deep = qemu.socket.with_file_name("d".repeat(200));
    std::fs::create_dir(&deep).unwrap();
    let long = deep.join("s".repeat(100));
    std::os::unix::fs::symlink(&qemu.socket, &long).unwrap();
    check(&Address::Unix(long)).await;
}

#[tokio::test]
async fn descriptors() {
    use std::os::fd::AsRawFd;
    let Some(qemu) = qemu_at("null").await else {
        return;
    };
    let socket = std::os::unix::net::UnixStream::connect(&qemu.socket).unwrap();
    let address = Address::Fd(socket.as_raw_fd());
    check(&address).await;
    let error = Client::connect(&Address::Fd(9999)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to fd:9999: Bad file descriptor (os error 9)"
    );
}

#[tokio::test]
async fn children() {
    if qemu_is_missing() {
        return;
    }
    let qemu = "exec:qemu-system-riscv64 -M none -S -nodefaults -display none -name peer";
    check(&format!("{qemu} -qmp stdio").parse().unwrap()).await;
    let error = Client::connect(&format!("{qemu} -bogus").parse().unwrap()).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "qemu-system-riscv64 ended, exit status: 1: qemu-system-riscv64: -bogus: invalid option"
    );
    let error = Client::connect(&"exec:/no/such/program".parse().unwrap()).await;
    assert!(matches!(error, Err(Error::Refused { .. })), "{error:?}");
}

#[tokio::test]
async fn qemu_connects() {
    if qemu_is_missing() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    let unix = Address::Unix(directory.path().join("here"));
    for address in [unix.clone(), "tcp:127.0.0.1:0".parse().unwrap()] {
        let listener = Client::listen(&address).await.unwrap();
        let monitor = match listener.address() {
            Address::Unix(path) => format!("unix:{}", path.display()),
            address => address.to_string(),
        };
        let (client, qemu) = tokio::join!(listener.accept(), qemu_at(&monitor));
        let (client, _qemu) = (client.unwrap(), qemu.unwrap());
        client.execute("query-name", ()).await.unwrap();
    }
    let Address::Unix(path) = &unix else { return };
    assert!(!path.exists(), "the file goes with the listener");
    // A file that was left behind is no hindrance, nor is a long path.
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    Client::listen(&unix).await.unwrap();
    let long = Address::Unix(deep.join("s"));
    let listener = Client::listen(&long).await.unwrap();
    assert!(deep.join("s").exists());
    drop(listener);
}

/// socat between two sockets, which stands in for a virtual machine; `None`,
/// said aloud, where there is none.
#[cfg(target_os = "linux")]
fn socat(from: &str, to: &str) -> Option<tokio::process::Child> {
    let child = tokio::process::Command::new("socat")
        .args([from, to])
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    if child.is_err() {
        eprintln!("SKIPPED: there is no socat");
    }
    child.ok()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn vsock() {
    let Some(qemu) = qemu_at("null").await else {
        return;
    };
    let to = format!("UNIX:{}", qemu.socket.display());
    let Some(_socat) = socat("VSOCK-LISTEN:47811", &to) else {
        return;
    };
    let mut outcome = None;
    for _ in 0..10 {
        let builder = Client::builder().deadlines(crate::server::short());
        match builder.connect(&"vsock:1:47811".parse().unwrap()).await {
            Ok(client) => {
                outcome = Some(client.execute("query-name", ()).await);
                break;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    match outcome {
        Some(outcome) => assert_eq!(outcome.unwrap(), json!({"name": "peer"})),
        None => eprintln!("SKIPPED: this host has no vsock loopback"),
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn machines_connect_over_vsock() {
    let Some(qemu) = qemu_at("null").await else {
        return;
    };
    let Ok(listener) = Client::listen(&"vsock:any:47812".parse().unwrap()).await else {
        eprintln!("SKIPPED: this host has no vsock");
        return;
    };
    let to = format!("UNIX:{}", qemu.socket.display());
    let Some(mut socat) = socat("VSOCK-CONNECT:1:47812", &to) else {
        return;
    };
    tokio::select! {
        client = listener.accept() => {
            let name = client.unwrap().execute("query-name", ()).await;
            assert_eq!(name.unwrap(), json!({"name": "peer"}));
        }
        _ = socat.wait() => eprintln!("SKIPPED: this host has no vsock loopback"),
    }
}

#[tokio::test]
async fn tls() {
    let directory = tempfile::tempdir().unwrap();
    if !make_certificates(directory.path()) {
        eprintln!("SKIPPED: there is no openssl");
        return;
    }
    let port = free_port();
    let credentials = format!(
        "tls-creds-x509,id=tls0,dir={},endpoint=server,verify-peer=on",
        directory.path().display()
    );
    let chardev =
        format!("socket,id=c0,host=127.0.0.1,port={port},server=on,wait=off,tls-creds=tls0");
    let Some(qemu) = Qemu::start(&[
        "-M",
        "none",
        "-S",
        "-name",
        "peer",
        "-object",
        &credentials,
        "-chardev",
        &chardev,
        "-mon",
        "chardev=c0,mode=control",
    ]) else {
        return;
    };
    qemu.client().await;
    let tls = Tls::from_directory(directory.path()).unwrap();
    let address: Address = format!("tls:127.0.0.1:{port}").parse().unwrap();
    let connect = |tls: Tls| Client::builder().tls(tls).connect(&address);

    let error = connect(tls.clone()).await.unwrap_err();
    assert!(
        error.to_string().contains("certificate not valid for name"),
        "{error}"
    );
    let stranger = Tls::new(&directory.path().join("ca-cert.pem"), None).unwrap();
    let stranger = stranger.server_name("localhost").unwrap();
    assert!(
        connect(stranger).await.is_err(),
        "the server asks who we are"
    );
    let client = connect(tls.server_name("localhost").unwrap())
        .await
        .unwrap();
    let name = client.execute("query-name", ()).await.unwrap();
    assert_eq!(name, json!({"name": "peer"}));
    let schema = client.schema().await.unwrap();
    assert!(schema.has_command("query-name"));

    let error = Client::connect(&address).await.unwrap_err().to_string();
    assert!(
        error.ends_with("TLS needs the certificate of an authority"),
        "{error}"
    );
}

#[tokio::test]
async fn qemu_connects_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    if qemu_is_missing() {
        return;
    }
    if !make_certificates(directory.path()) {
        eprintln!("SKIPPED: there is no openssl");
        return;
    }
    let tls = Tls::from_directory(directory.path()).unwrap();
    let address: Address = "tls:127.0.0.1:0".parse().unwrap();
    let listener = Client::builder().tls(tls).listen(&address).await.unwrap();
    let Address::Tls { port, .. } = *listener.address() else {
        panic!("{listener:?}");
    };
    let qemu = move |directory: &Path| {
        let directory = directory.display();
        let credentials = format!("tls-creds-x509,id=tls0,dir={directory},endpoint=client");
        let chardev =
            format!("socket,id=c0,host=localhost,port={port},reconnect-ms=100,tls-creds=tls0");
        Qemu::start(&[
            "-M",
            "none",
            "-S",
            "-name",
            "peer",
            "-object",
            &credentials,
            "-chardev",
            &chardev,
            "-mon",
            "chardev=c0,mode=control",
        ])
    };

    // Who shows no certificate is not let in.
    let stranger = tempfile::tempdir().unwrap();
    std::fs::copy(
        directory.path().join("ca-cert.pem"),
        stranger.path().join("ca-cert.pem"),
    )
    .unwrap();
    let called = qemu(stranger.path()).unwrap();
    let error = listener.accept().await.unwrap_err().to_string();
    assert!(error.contains("peer sent no certificates"), "{error}");
    drop(called);

    let _qemu = qemu(directory.path()).unwrap();
    // The stranger may have called again before it went.
    let client = loop {
        match listener.accept().await {
            Ok(client) => break client,
            Err(error) => eprintln!("{error}"),
        }
    };
    let name = client.execute("query-name", ()).await.unwrap();
    assert_eq!(name, json!({"name": "peer"}));

    let error = Client::listen(&address).await.unwrap_err().to_string();
    assert!(
        error.ends_with("needs a certificate and its key"),
        "{error}"
    );
}

/// Runs openssl in `directory`; false where there is none.
fn openssl(directory: &Path, arguments: &str) -> bool {
    let status = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// An authority, and certificates that it signed for both sides.
fn make_certificates(directory: &Path) -> bool {
    std::fs::write(directory.join("ext"), "subjectAltName=DNS:localhost\n")
        .expect("the directory can be written");
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let authority =
        format!("req -x509 {new} -keyout ca-key.pem -out ca-cert.pem -days 2 -subj /CN=authority");
    openssl(directory, &authority)
        && ["server", "client"].iter().all(|side| {
            let request =
                format!("req {new} -keyout {side}-key.pem -out {side}.csr -subj /CN={side}");
            let sign = format!(
                "x509 -req -in {side}.csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile ext -out {side}-cert.pem"
            );
            openssl(directory, &request) && openssl(directory, &sign)
        })
}

/// What is sent waits for a server that does not read yet, and arrives whole.
#[tokio::test]
async fn a_request_longer_than_a_socket_holds() {
    const LENGTH: usize = 4 << 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slow");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let (read, reading) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        writeln!(stream, "{}", crate::server::GREETING).unwrap();
        lines.next().unwrap().unwrap();
        writeln!(stream, r#"{{"return": {{}}, "id": "tinamou-1"}}"#).unwrap();
        reading.recv().unwrap();
        let line = lines.next().unwrap().unwrap();
        writeln!(stream, r#"{{"return": {}, "id": "tinamou-2"}}"#, line.len()).unwrap();
    });
    let client = Client::connect(&Address::Unix(path)).await.unwrap();
    let request = client.request("x-long", json!({"text": "x".repeat(LENGTH)}));
    let call = request.deadline(Duration::from_secs(60)).value();
    let first_try = async {
        // The call has written what fits by now, and waits.
        tokio::task::yield_now().await;
        read.send(()).unwrap();
    };
    let (length, ()) = tokio::join!(call, first_try);
    assert!(length.unwrap().as_u64() > Some(LENGTH as u64));
    server.join().unwrap();
}

/// A unix listener whose queue is full takes no further connection.
#[tokio::test]
async fn a_full_queue_is_waited_for_only_so_long() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    wait_for(&path);
    let address = Address::Unix(path.clone());
    let short = crate::server::short();
    let mut stage = None;
    // The queue takes some thousands of connections at most (somaxconn).
    let mut held = Vec::new();
    for _ in 0..10_000 {
        let socket = tokio::net::UnixStream::connect(&path).await;
        match socket {
            Ok(socket) => held.push(socket),
            Err(_) => break,
        }
    }
    if let Err(Error::Unresponsive { stage: at, .. }) =
        Client::builder().deadlines(short).connect(&address).await
    {
        stage = Some(at);
    }
    assert!(
        matches!(stage, Some(Stage::Connect | Stage::Greeting)),
        "{stage:?}"
    );
}
