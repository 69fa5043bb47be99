// The server behind the examples of the documentation: a machine that runs,
// stops, lets go of devices and quits. Included by each example.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};

/// Starts it, and says where it is.
pub fn start() -> tinamou_client::Address {
    let name = format!("tinamou-docs-{}-{:p}", std::process::id(), &());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("a socket can be made");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    tinamou_client::Address::Unix(path)
}

fn serve(mut stream: UnixStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let version = r#"{"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}"#;
    writeln!(stream, r#"{{"QMP": {{"version": {version}, "capabilities": ["oob"]}}}}"#).ok()?;
    while let Some(Ok(line)) = lines.next() {
        let request: serde_json::Value = serde_json::from_str(&line).ok()?;
        let command = request["execute"].as_str().or(request["exec-oob"].as_str())?;
        let event = |name: &str, data: serde_json::Value| {
            serde_json::json!({"event": name, "data": data,
                "timestamp": {"seconds": 1, "microseconds": 0}})
        };
        let (value, event) = match command {
            "query-status" => (serde_json::json!({"status": "running", "running": true}), None),
            "query-qmp-schema" => (schema(), None),
            "stop" => (serde_json::json!({}), Some(event("STOP", serde_json::json!({})))),
            "device_del" => {
                let deleted = serde_json::json!({"device": request["arguments"]["id"], "path": ""});
                (serde_json::json!({}), Some(event("DEVICE_DELETED", deleted)))
            }
            "quit" => {
                let reason = serde_json::json!({"guest": false, "reason": "host-qmp-quit"});
                (serde_json::json!({}), Some(event("SHUTDOWN", reason)))
            }
            _ => (serde_json::json!({}), None),
        };
        let reply = serde_json::json!({"return": value, "id": request["id"]});
        writeln!(stream, "{reply}").ok()?;
        if let Some(event) = event {
            writeln!(stream, "{event}").ok()?;
        }
        if command == "quit" {
            return None;
        }
    }
    None
}

fn schema() -> serde_json::Value {
    serde_json::json!([
        {"name": "blockdev-add", "meta-type": "command", "arg-type": "1", "ret-type": "0"},
        {"name": "0", "meta-type": "object", "members": []},
        {"name": "1", "meta-type": "object", "members": [{"name": "driver", "type": "2"}]},
        {"name": "2", "meta-type": "enum", "values": ["raw", "qcow2"]},
    ])
}
