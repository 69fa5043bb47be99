//! The face that waits.

use crate::peer::Qemu;
use serde_json::json;
use std::time::Duration;
use tinamou_client::Error;
use tinamou_client::blocking::Client;
use tinamou_client::qmp::{QueryStatus, RunState};

#[test]
fn waits() {
    let Some(qemu) = Qemu::bare() else { return };
    let client = Client::connect(&qemu.address()).unwrap();
    assert!(client.greeting().is_some());
    assert_eq!(
        client.call(QueryStatus {}).unwrap().status,
        RunState::Prelaunch
    );
    assert!(client.schema().unwrap().has_event("RESUME"));
    let yanks = client.request("query-yank", ()).oob(true).value().unwrap();
    assert!(yanks.is_array());

    let mut events = client.events().only(["RESUME", "STOP"]);
    client.execute("cont", ()).unwrap();
    client.execute("stop", ()).unwrap();
    assert_eq!(&*events.next().unwrap().name, "RESUME");
    assert_eq!(&*events.next().unwrap().name, "STOP");
    let moment = Duration::from_millis(20);
    assert!(events.next_within(moment).is_none());

    qemu.signal("-STOP");
    let late = client.request("query-name", ()).deadline(moment).value();
    assert!(matches!(late, Err(Error::Unresponsive { .. })), "{late:?}");
    qemu.signal("-CONT");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    client.execute("query-name", json!({})).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    client.execute("quit", ()).unwrap();
    assert!(client.closed().is_orderly());
    assert_eq!(events.next().map(|event| event.name), None);
}
