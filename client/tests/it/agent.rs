//! The guest agent: one that lies, and Debian's on a socket of this host.

use crate::peer::{is_missing, wait_for};
use crate::server::{Server, short};
use serde_json::json;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tinamou_client::agent::{self, GuestFile, GuestProgram, Piece};
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

    /// A path in a directory of its own.
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
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

/// An agent of before 4.0 answers without id.
#[tokio::test]
async fn an_old_agent_that_comes_up_late() {
    let (mut server, there) = Server::silent();
    let serve = async {
        server.hear_agent().await;
        let second = server.hear_agent().await;
        let number = &second["arguments"]["id"];
        server.send(b"\xff").await;
        server.say(&format!(r#"{{"return": {number}}}"#)).await;
        server
    };
    let (client, _server) = tokio::join!(builder().connect_over(there), serve);
    client.unwrap();
}

/// It was started again in the middle of a reply.
#[tokio::test]
async fn an_agent_that_is_started_again() {
    let (mut server, there) = Server::silent();
    let serve = async {
        let first = server.hear_agent().await;
        server.send(b"\xff").await;
        server
            .answer(&first, &first["arguments"]["id"].to_string())
            .await;
        server.hear().await;
        server.send(b"{\"return\": {\"a").await;
        let again = server.hear_agent().await;
        server.send(b"\xff").await;
        server
            .answer(&again, &again["arguments"]["id"].to_string())
            .await;
        let request = server.hear().await;
        server.answer(&request, "7").await;
    };
    let talk = async {
        let client = builder().connect_over(there).await.unwrap();
        let lost = client
            .request("guest-x", ())
            .deadline(Duration::from_millis(50));
        lost.await.unwrap_err();
        agent::resynchronise(&client, Duration::from_secs(60))
            .await
            .unwrap();
        client.execute("guest-y", ()).await.unwrap()
    };
    let (value, ()) = tokio::join!(talk, serve);
    assert_eq!(value, json!(7));
}

#[tokio::test]
async fn files_of_the_guest() {
    let Some(agent) = Agent::start() else { return };
    let client = builder().connect(&agent.address()).await.unwrap();
    let path = agent.path("file");
    let data: Vec<u8> = (0..300_000_u32).map(|place| (place % 251) as u8).collect();

    agent::write(&client, &path, &data).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == data);
    assert!(agent::read(&client, &path, 300_000).await.unwrap() == data);
    let error = agent::read(&client, &path, 299_999).await.unwrap_err();
    assert!(
        error.to_string().ends_with("has more than 299999 bytes"),
        "{error}"
    );

    // What somebody adds after the end is read on.
    let mut file = GuestFile::open(&client, &path, "r").await.unwrap();
    let mut length = 0;
    while let Some(piece) = file.read().await.unwrap() {
        length += piece.len();
    }
    assert_eq!(length, data.len());
    let mut more = std::fs::File::options().append(true).open(&path).unwrap();
    more.write_all(b"more").unwrap();
    assert_eq!(file.read().await.unwrap(), Some(b"more".to_vec()));
    assert_eq!(file.read().await.unwrap(), None);

    assert_eq!(open_files(&client).await, 1);
    drop(file);
    assert_eq!(open_files(&client).await, 0);
}

/// How many files the agent has open, whose handles it counts up from 1000.
async fn open_files(client: &Client) -> usize {
    let mut open = 0;
    for handle in 1000..1010 {
        let flush = client.execute("guest-file-flush", json!({"handle": handle}));
        open += usize::from(flush.await.is_ok());
    }
    open
}

#[tokio::test]
async fn programs_of_the_guest() {
    let Some(agent) = Agent::start() else { return };
    let client = builder().connect(&agent.address()).await.unwrap();
    let shell = |script: &str| GuestProgram::new("sh").args(["-c", script]);

    let script = "read line; echo $line $WORD; echo err >&2; exit 3";
    let program = shell(script).env("WORD=there").input(b"hello\n");
    let finished = program.clone().run(&client).await.unwrap();
    assert_eq!(finished.code(), Some(3));
    assert_eq!(finished.stdout().unwrap(), b"hello there\n");
    assert_eq!(finished.stderr().unwrap(), b"err\n");
    assert!(!finished.is_truncated());

    let mut running = program.stream(&client).await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = running.next().await.unwrap() {
        pieces.push(piece);
    }
    pieces.sort_by_key(|piece| matches!(piece, Piece::Stderr(_)));
    let expected = [
        Piece::Stdout(b"hello there\n".to_vec()),
        Piece::Stderr(b"err\n".to_vec()),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(running.finish().await.unwrap().code(), Some(3));

    let killed = shell("kill -9 $$").run(&client).await.unwrap();
    assert_eq!((killed.code(), killed.signal()), (None, Some(9)));
    let missing = GuestProgram::new("/nonexistent").run(&client).await;
    assert!(matches!(missing, Err(Error::Command { .. })), "{missing:?}");
}

/// The program goes on only when its first output has been seen.
#[tokio::test]
async fn output_comes_while_the_program_runs() {
    let Some(agent) = Agent::start() else { return };
    let client = builder().connect(&agent.address()).await.unwrap();
    let go = agent.path("go");
    let script = format!("echo first; until test -e {go}; do sleep 0.05; done; seq 100000");
    let program = GuestProgram::new("sh").args(["-c", &script]);
    let mut running = program.stream(&client).await.unwrap();
    let first = running.next().await.unwrap();
    assert_eq!(first, Some(Piece::Stdout(b"first\n".to_vec())));
    std::fs::write(&go, "").unwrap();
    let mut lines = 0;
    while let Some(Piece::Stdout(piece)) = running.next().await.unwrap() {
        lines += piece.iter().filter(|byte| **byte == b'\n').count();
    }
    assert_eq!(lines, 100_000);
    assert_eq!(running.finish().await.unwrap().code(), Some(0));
}
