//! A server made of lines, for tests to script.

use serde_json::Value;
use tinamou_client::{Builder, Client, Deadlines};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

pub const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}"#;

/// The server's end of a connection.
pub struct Server {
    stream: BufReader<DuplexStream>,
}

impl Server {
    /// Both ends of a connection that nobody has said anything on.
    pub fn silent() -> (Self, DuplexStream) {
        let (here, there) = tokio::io::duplex(1 << 16);
        let stream = BufReader::new(here);
        (Self { stream }, there)
    }

    /// A server and its client, greeted and negotiated.
    pub async fn with_client() -> (Self, Client) {
        Self::with(Client::builder()).await
    }

    /// The same, with a client built so.
    pub async fn with(builder: Builder) -> (Self, Client) {
        let (mut server, there) = Self::silent();
        let serve = async {
            server.say(GREETING).await;
            let request = server.hear().await;
            assert_eq!(request["execute"], "qmp_capabilities");
            server.answer(&request, "{}").await;
        };
        let (client, ()) = tokio::join!(builder.connect_over(there), serve);
        (server, client.expect("the server greets"))
    }

    /// Sends a line.
    pub async fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes()).await;
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        // A client that hung up is what some tests want.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// Reads a request.
    pub async fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stream
            .read_line(&mut line)
            .await
            .expect("a duplex can be read");
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    /// Reads a request with a delimiter before it.
    pub async fn hear_agent(&mut self) -> Value {
        let delimiter = self.stream.read_u8().await.expect("a duplex can be read");
        assert_eq!(delimiter, 0xFF);
        self.hear().await
    }

    /// Answers a request.
    pub async fn answer(&mut self, request: &Value, value: &str) {
        let id = &request["id"];
        self.say(&format!(r#"{{"return": {value}, "id": {id}}}"#))
            .await;
    }

    /// Answers requests with `value` until the client hangs up.
    pub async fn answer_all(mut self, value: &str) {
        loop {
            let request = self.hear().await;
            if request.is_null() {
                return;
            }
            self.answer(&request, value).await;
        }
    }
}

/// Deadlines that tests can wait for.
pub fn short() -> Deadlines {
    let short = std::time::Duration::from_millis(100);
    Deadlines {
        connect: short,
        greeting: short,
        negotiation: short,
        call: short,
    }
}
