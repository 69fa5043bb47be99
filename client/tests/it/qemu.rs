//! The client and real QEMU.

use crate::peer::Qemu;
use crate::server::short;
use serde_json::json;
use tinamou_client::{Address, Client, Closed, Error, Stage};

#[tokio::test]
async fn talks_to_qemu() {
    let Some(qemu) = Qemu::bare() else { return };
    let client = qemu.client().await;
    assert!(client.greeting().unwrap().version.qemu.major >= 7);
    let status = client.execute("query-status", ()).await.unwrap();
    assert_eq!(status["status"], "prelaunch");

    let schema = client.schema().await.unwrap();
    assert!(schema.has_command("blockdev-add"));
    assert!(schema.has_arg("blockdev-add", "backing"));
    assert!(schema.has_value("blockdev-add", "driver", "qcow2"));
    assert!(schema.has_event("SHUTDOWN"));
    assert!(schema.has_feature("device_add", "json-cli"));
    assert!(!schema.has_command("no-such"));

    let yanks = client.request("query-yank", ()).oob(true).await.unwrap();
    assert!(yanks.is_array());
    let error = client.execute("device_del", json!({"id": "x"})).await;
    assert_eq!(error.unwrap_err().class(), Some("DeviceNotFound"));

    let (_, event) = client
        .execute_and_wait(
            "cont",
            (),
            |event| &*event.name == "RESUME",
            std::time::Duration::from_secs(60),
        )
        .await
        .unwrap();
    assert!(event.timestamp.seconds > 0);
    client.execute("quit", ()).await.unwrap();
    let closed = client.closed().await;
    assert!(
        matches!(&closed, Closed::Shutdown { guest: false, reason: Some(reason) } if reason == "host-qmp-quit"),
        "{closed:?}"
    );
}

#[tokio::test]
async fn many_calls_at_once() {
    let Some(qemu) = Qemu::bare() else { return };
    let client = qemu.client().await;
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.execute("query-name", ()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn descriptors_go_along() {
    let Some(qemu) = Qemu::bare() else { return };
    let client = qemu.client().await;
    let null = || std::fs::File::open("/dev/null").unwrap().into();
    let call = |name: &'static str| {
        let client = client.clone();
        tokio::spawn(async move {
            let request = client.request("getfd", json!({"fdname": name}));
            request.fds(vec![null()]).await
        })
    };
    for call in [call("a"), call("b"), call("c")] {
        call.await.unwrap().unwrap();
    }
    for name in ["a", "b", "c"] {
        client
            .execute("closefd", json!({"fdname": name}))
            .await
            .unwrap();
    }
    let error = client.execute("getfd", json!({"fdname": "d"})).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "No file descriptor supplied via SCM_RIGHTS"
    );
}

#[tokio::test]
async fn a_stopped_qemu_is_unresponsive() {
    let Some(qemu) = Qemu::bare() else { return };
    let builder = || Client::builder().deadlines(short());
    let client = qemu.client().await;
    qemu.signal("-STOP");
    let error = client
        .request("query-status", ())
        .deadline(short().call)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unresponsive {
                stage: Stage::Call,
                ..
            }
        ),
        "{error:?}"
    );
    // The kernel connects as long as the queue has room, and then no more.
    let mut stages = Vec::new();
    for _ in 0..4 {
        match builder().connect(&qemu.address()).await {
            Err(Error::Unresponsive { stage, .. }) => stages.push(stage),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        stages
            .iter()
            .all(|stage| matches!(stage, Stage::Greeting | Stage::Connect))
    );
    qemu.signal("-CONT");
    client.execute("query-status", ()).await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none");
    let error = Client::connect(&Address::Unix(path)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    let error = Client::connect(&"127.0.0.1:1".parse().unwrap()).await;
    assert!(matches!(error, Err(Error::Refused { .. })), "{error:?}");
}
