//! A client as simple as can be: it sends everything, then reads everything.

use tinamou_mock::Mock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// The negotiation, whose reply is `{"return": {}}`.
pub const HELLO: &str = r#"{"execute": "qmp_capabilities"}"#;

/// The greeting of a mock.
pub const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "qmp mock"}, "capabilities": ["oob"]}}"#;

/// What a mock sends in answer to these lines, up to where it closes after
/// the client's end of input. Times are left out.
pub fn talk(mock: &Mock, input: &[&str]) -> Vec<String> {
    let text: String = input.iter().map(|line| format!("{line}\n")).collect();
    let output = runtime().block_on(exchange(mock, text.as_bytes()));
    lines(&output)
}

/// The bytes of it.
pub async fn exchange(mock: &Mock, input: &[u8]) -> Vec<u8> {
    let (client, server) = tokio::io::duplex(1 << 20);
    let serving = tokio::spawn({
        let mock = mock.clone();
        async move { mock.serve(server).await }
    });
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut output = Vec::new();
    let (_, read) = tokio::join!(
        async {
            // A mock may close before it has read all.
            let _ = writer.write_all(input).await;
            let _ = writer.shutdown().await;
        },
        reader.read_to_end(&mut output),
    );
    read.expect("a pipe within the process");
    drop((reader, writer));
    drop(serving.await.expect("the mock does not panic"));
    output
}

/// Output as lines of text.
pub fn lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    text.split_terminator("\r\n").map(without_time).collect()
}

/// A runtime of one thread.
pub fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

fn without_time(line: &str) -> String {
    let start = r#"{"timestamp": {"seconds": "#;
    match (line.find(start), line.find(r#""event""#)) {
        (Some(from), Some(to)) => format!("{}{{{}", &line[..from], &line[to..]),
        _ => line.to_owned(),
    }
}
