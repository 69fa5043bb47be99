//! The guest agent: one that lies, and Debian's on a socket of this host.

use crate::peer::{is_missing, wait_for};
use crate::server::{Server, short};
use serde_json::json;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tinamou_client::qga::GuestInfo;
use tinamou_client::{Address, Builder, Client, Error, Stage};

struct Agent {
    child: Child,
    directory: tempfile::TempDir,
}

impl Agent {
    fn start() -> Option<Self> {
        if is_missing("qemu-ga") {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory can be made");
        let child = Command::new("qemu-ga")
            .args(["-m", "unix-listen", "-p", "ga.sock", "-t", "."])
            .current_dir(directory.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("qemu-ga starts");
        wait_for(&directory.path().join("ga.sock"));
        Some(Self { child, directory })
    }

    fn address(&self) -> Address {
        Address::Unix(self.directory.path().join("ga.sock"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn builder() -> Builder {
    Client::builder().agent()
}

#[tokio::test]
async fn talks_to_qemu_ga() {
    let Some(agent) = Agent::start() else { return };
    // Somebody left in the middle of a request.
    let Address::Unix(path) = agent.address() else {
        return;
    };
    let mut rude = std::os::unix::net::UnixStream::connect(path).unwrap();
    rude.write_all(b"{\"execute\": \"guest-p").unwrap();
    drop(rude);

    let client = builder().connect(&agent.address()).await.unwrap();
    assert!(client.greeting().is_none());
    assert_eq!(client.execute("guest-ping", ()).await.unwrap(), json!({}));
    let info = client.call(GuestInfo {}).await.unwrap();
    assert!(info.supported_commands.len() > 10);
    let open = json!({"path": "/no/such/file"});
    let error = client.execute("guest-file-open", open).await.unwrap_err();
    assert!(matches!(error, Error::Command { .. }), "{error:?}");
    let error = client.request("guest-suspend-bogus", ()).unanswered().await;
    assert_eq!(error.unwrap_err().class(), Some("CommandNotFound"));
}

#[tokio::test]
async fn an_agent_that_never_comes_up() {
    let (_server, there) = Server::silent();
    let error = builder().deadlines(short()).connect_over(there).await;
    assert!(
        matches!(
            &error,
            Err(Error::Unresponsive {
                stage: Stage::Synchronisation,
                ..
            })
        ),
        "{error:?}"
    );
}

/// What was said before the delimiter is void; an answer to an earlier attempt
/// is none to this one.
#[tokio::test]
async fn an_agent_that_comes_up_late() {
    let (mut server, there) = Server::silent();
    let serve = async {
        let first = server.hear_agent().await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        let second = server.hear_agent().await;
        server.send(b"urn\": {}}\n{\"return\": 1, \"id\": ").await;
        for request in [first, second] {
            server.send(b"\xff").await;
            let number = request["arguments"]["id"].to_string();
            server.answer(&request, &number).await;
        }
        let request = server.hear().await;
        server.answer(&request, "7").await;
    };
    let connect = async {
        let client = builder().connect_over(there).await.unwrap();
        client.execute("guest-x", ()).await.unwrap()
    };
    let (value, ()) = tokio::join!(connect, serve);
    assert_eq!(value, json!(7));
}

#[tokio::test]
async fn silence_is_success_for_some() {
    let (mut server, there) = Server::silent();
    let serve = async {
        let sync = server.hear_agent().await;
        server.send(b"\xff").await;
        server
            .answer(&sync, &sync["arguments"]["id"].to_string())
            .await;
        server.hear().await
    };
    let connect = async {
        let client = builder().connect_over(there).await.unwrap();
        client.request("guest-shutdown", ()).unanswered().await
    };
    let (outcome, heard) = tokio::join!(connect, serve);
    assert_eq!(heard["execute"], "guest-shutdown");
    outcome.unwrap();
}
