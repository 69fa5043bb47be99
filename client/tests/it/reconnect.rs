//! Connecting again.

use crate::peer::Qemu;
use crate::server::{GREETING, short};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tinamou_client::{Address, Builder, Client, Closed, Error, Reconnect};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// A server that serves one connection after the other.
struct Server {
    listener: UnixListener,
    directory: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let listener = UnixListener::bind(directory.path().join("s")).expect("it is new");
        Self {
            listener,
            directory,
        }
    }

    fn address(&self) -> Address {
        Address::Unix(self.directory.path().join("s"))
    }

    /// Serves one connection: says an event, and answers so many requests.
    async fn serve(&self, requests: usize) {
        let (stream, _) = self.listener.accept().await.expect("it listens");
        let mut stream = BufReader::new(stream);
        say(&mut stream, GREETING).await;
        answer(&mut stream).await;
        say(&mut stream, r#"{"event": "HELLO"}"#).await;
        for _ in 0..requests {
            answer(&mut stream).await;
        }
    }
}

async fn say(stream: &mut BufReader<UnixStream>, line: &str) {
    let line = format!("{line}\r\n");
    stream
        .write_all(line.as_bytes())
        .await
        .expect("somebody listens");
}

async fn answer(stream: &mut BufReader<UnixStream>) {
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("somebody asks");
    let request: Value = serde_json::from_str(&line).expect("a request");
    let (id, command) = (&request["id"], &request["execute"]);
    say(stream, &format!(r#"{{"return": {command}, "id": {id}}}"#)).await;
}

fn quick() -> Reconnect {
    let moment = Duration::from_millis(5);
    Reconnect::default().backoff(moment, moment)
}

fn builder(reconnect: Reconnect) -> Builder {
    Client::builder().reconnect(reconnect)
}

#[tokio::test]
async fn calls_and_events_go_on_over_the_next_connection() {
    let server = Server::new();
    let resyncs = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&resyncs);
    let reconnect = quick().resync(move |client| {
        let count = Arc::clone(&count);
        async move {
            assert_eq!(client.execute("resync", ()).await?, json!("resync"));
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let serve = async {
        server.serve(1).await;
        server.serve(2).await;
    };
    let address = server.address();
    let use_it = async {
        let client = builder(reconnect).connect(&address).await.unwrap();
        let mut events = client.events_after(0);
        assert_eq!(client.execute("one", ()).await.unwrap(), json!("one"));
        assert_eq!(events.next().await.unwrap().sequence, 1);
        // The server hangs up now; this event comes over the next connection.
        assert_eq!(events.next().await.unwrap().sequence, 2);
        assert_eq!(client.execute("two", ()).await.unwrap(), json!("two"));
        assert_eq!(resyncs.load(Ordering::SeqCst), 1);
        client.close().await;
        assert!(matches!(client.closed().await, Closed::Here));
        assert!(events.next().await.is_none());
    };
    tokio::join!(serve, use_it);
}

#[tokio::test]
async fn a_call_waits_for_the_next_connection_only_so_long() {
    let server = Server::new();
    let reconnect = Reconnect::default().backoff(Duration::from_secs(3600), Duration::MAX);
    let connect = builder(reconnect).deadlines(short());
    let address = server.address();
    let (client, ()) = tokio::join!(connect.connect(&address), server.serve(0));
    let client = client.unwrap();
    // The first may still find the connection there, and lose it.
    let _ = client.execute("lost", ()).await;
    let error = client.execute("late", ()).await.unwrap_err();
    assert!(matches!(error, Error::Unresponsive { .. }), "{error:?}");
    client.close().await;
    assert!(matches!(
        client.closed().await,
        Closed::Here | Closed::Ended
    ));
}

#[tokio::test]
async fn attempts_are_given_up() {
    let server = Server::new();
    let address = server.address();
    let connect = builder(quick().attempts(3)).connect(&address);
    let (client, ()) = tokio::join!(connect, server.serve(0));
    drop(server);
    let client = client.unwrap();
    assert!(matches!(client.closed().await, Closed::Ended));
    let error = client.execute("x", ()).await.unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error:?}");
}

#[tokio::test]
async fn qemu_comes_back() {
    let Some(mut qemu) = Qemu::bare() else { return };
    let client = builder(quick()).connect(&qemu.address()).await.unwrap();
    client.schema().await.unwrap();
    qemu.child.kill().unwrap();
    qemu.child.wait().unwrap();
    let socket = qemu.socket.clone();
    std::fs::remove_file(&socket).unwrap();
    let Some(_again) = Qemu::at(socket, &["-M", "none", "-S", "-name", "second"]) else {
        return;
    };
    let mut name = json!(null);
    while name != json!({"name": "second"}) {
        // Until the loss is noticed, a call can still fail.
        name = client.execute("query-name", ()).await.unwrap_or_default();
    }
}
