//! The recipes, with real QEMU where it has what they are for.

use crate::peer::Qemu;
use crate::server::Server;
use serde_json::json;
use std::io::Write;
use std::time::Duration;
use tinamou_client::recipes::{self, Ending, Job, LastResort};
use tinamou_client::{Client, Error, FdSet};

const SOON: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(200);

/// A program that powers the board off: 0x5555 to the test device at 0x100000.
const POWER_OFF: [u32; 5] = [
    0x0010_02b7, // lui t0, 0x100
    0x0000_5337, // lui t1, 0x5
    0x5553_0313, // addi t1, t1, 0x555
    0x0062_a023, // sw t1, 0(t0)
    0x0000_006f, // j .
];

/// A stopped board whose guest will power it off.
fn about_to_end(more: &[&str]) -> Option<(Qemu, tempfile::NamedTempFile)> {
    let mut program = tempfile::NamedTempFile::new().expect("a file can be made");
    for word in POWER_OFF {
        program
            .write_all(&word.to_le_bytes())
            .expect("it is written");
    }
    let loader = format!(
        "loader,addr=0x80000000,force-raw=on,file={}",
        program.path().display()
    );
    let board = [
        "-M", "virt", "-m", "32", "-bios", "none", "-S", "-device", &loader,
    ];
    Some((Qemu::start(&[&board, more].concat())?, program))
}

#[tokio::test]
async fn waits_for_a_shutdown() {
    let Some((qemu, _program)) = about_to_end(&[]) else {
        return;
    };
    let client = qemu.client().await;
    let (shutdown, started) = tokio::join!(
        recipes::wait_for_shutdown(&client, SOON),
        client.execute("cont", ()),
    );
    started.unwrap();
    let shutdown = shutdown.unwrap();
    assert!(shutdown.guest);
    assert_eq!(shutdown.reason.as_deref(), Some("guest-shutdown"));
    assert!(client.closed().await.is_orderly());
    recipes::wait_for_shutdown(&client, SOON).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_in_the_past_counts() {
    let Some((qemu, _program)) = about_to_end(&["-no-shutdown"]) else {
        return;
    };
    let client = qemu.client().await;
    let (_, _) = client
        .execute_and_wait("cont", (), |event| &*event.name == "SHUTDOWN", SOON)
        .await
        .unwrap();
    let mut status = json!(null);
    while status != "shutdown" {
        status = client.execute("query-status", ()).await.unwrap()["status"].clone();
    }
    recipes::wait_for_shutdown(&client, SOON).await.unwrap();
}

/// The riscv64 board has no power button, so its guests never listen.
#[tokio::test]
async fn a_guest_that_does_not_listen_is_made_to() {
    let Some(qemu) = Qemu::start(&["-M", "virt", "-S"]) else {
        return;
    };
    let client = qemu.client().await;
    let error = recipes::powerdown(&client, MOMENT, LastResort::Nothing).await;
    assert!(
        matches!(error, Err(Error::Unresponsive { .. })),
        "{error:?}"
    );
    let error = recipes::wait_for_shutdown(&client, MOMENT).await;
    assert!(
        matches!(error, Err(Error::Unresponsive { .. })),
        "{error:?}"
    );
    let ending = recipes::powerdown(&client, MOMENT, LastResort::Quit).await;
    assert_eq!(ending.unwrap(), Ending::Forced);
}

#[tokio::test]
async fn a_server_that_hangs_is_killed() {
    let Some(qemu) = Qemu::bare() else { return };
    let client = Client::builder()
        .deadlines(crate::server::short())
        .connect(&qemu.address())
        .await
        .unwrap();
    qemu.signal("-STOP");
    let id = qemu.child.id().to_string();
    let kill = move || {
        let mut kill = std::process::Command::new("kill");
        kill.args(["-KILL", &id]).status().map(drop)
    };
    let resort = LastResort::Kill(Box::new(kill));
    let ending = recipes::powerdown(&client, SOON, resort).await;
    assert_eq!(ending.unwrap(), Ending::Forced);
}

#[tokio::test]
async fn unplugs() {
    let Some(qemu) = Qemu::start(&[
        "-M",
        "virt",
        "-S",
        "-device",
        "qemu-xhci",
        "-device",
        "usb-tablet,id=tablet",
        "-device",
        "pcie-root-port,id=rp0",
        "-device",
        "virtio-rng-pci,id=rng,bus=rp0",
    ]) else {
        return;
    };
    let client = qemu.client().await;
    recipes::unplug(&client, "tablet", SOON).await.unwrap();
    let error = recipes::unplug(&client, "tablet", SOON).await.unwrap_err();
    assert_eq!(error.class(), Some("DeviceNotFound"));
    // The guest does not run, and so does not answer.
    let error = recipes::unplug(&client, "rng", MOMENT).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no answer within 200ms: waited for the event to device_del"
    );
}

#[tokio::test]
async fn a_guest_that_is_busy_is_asked_again() {
    let (mut server, client) = Server::with_client().await;
    let serve = async {
        for _ in 0..2 {
            let request = server.hear().await;
            let (id, class) = (&request["id"], "GenericError");
            let desc = "Hot-unplug failed: guest is busy (power indicator blinking)";
            let error = json!({"error": {"class": class, "desc": desc}, "id": id});
            server.say(&error.to_string()).await;
        }
        let request = server.hear().await;
        assert_eq!(request["arguments"], json!({"id": "nic0"}));
        server.answer(&request, "{}").await;
        let time = json!({"seconds": 1, "microseconds": 0});
        let data = json!({"device": "nic0", "path": "/machine/peripheral/nic0"});
        let event = json!({"timestamp": time, "event": "DEVICE_DELETED", "data": data});
        server.say(&event.to_string()).await;
    };
    let (unplugged, ()) = tokio::join!(recipes::unplug(&client, "nic0", SOON), serve);
    unplugged.unwrap();
}

/// A disk of nothing, somewhere to copy it to, and somewhere that refuses.
async fn with_disks() -> Option<(Qemu, Client)> {
    let qemu = Qemu::bare()?;
    let client = qemu.client().await;
    let node = |name: &str| json!({"driver": "null-co", "node-name": name, "size": 1 << 26, "read-zeroes": true});
    let errors = json!([{"event": "write_aio"}, {"event": "pwritev"}, {"event": "none"}]);
    let bad = json!({"driver": "blkdebug", "node-name": "bad", "image": node("inner"),
        "inject-error": errors});
    for node in [node("disk"), node("copy"), bad] {
        client.execute("blockdev-add", node).await.expect("a node");
    }
    Some((qemu, client))
}

#[tokio::test]
async fn a_job_is_followed_to_its_end() {
    let Some((_qemu, client)) = with_disks().await else {
        return;
    };
    let backup = json!({"device": "disk", "target": "copy", "sync": "full"});
    for round in ["first", "second"] {
        let job = Job::start(&client, "blockdev-backup", round, &backup)
            .await
            .unwrap();
        job.concluded(SOON).await.unwrap();
    }
    // One that is gone before anybody asks.
    let mut fleeting = backup.clone();
    fleeting["auto-dismiss"] = json!(true);
    let job = Job::start(&client, "blockdev-backup", "fleeting", &fleeting)
        .await
        .unwrap();
    job.concluded(SOON).await.unwrap();

    let mut mirror = Job::start(&client, "blockdev-mirror", "mirror", &backup)
        .await
        .unwrap();
    mirror.ready(SOON).await.unwrap();
    mirror.complete().await.unwrap();
    mirror.concluded(SOON).await.unwrap();
    assert_eq!(client.execute("query-jobs", ()).await.unwrap(), json!([]));
}

#[tokio::test]
async fn a_job_that_fails_says_why() {
    let Some((_qemu, client)) = with_disks().await else {
        return;
    };
    let backup = json!({"device": "disk", "target": "bad", "sync": "full"});
    let job = Job::start(&client, "blockdev-backup", "b", backup)
        .await
        .unwrap();
    let error = job.concluded(SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "job b: Input/output error");

    let slow = json!({"device": "disk", "target": "copy", "sync": "full", "speed": 1});
    let job = Job::start(&client, "blockdev-backup", "slow", slow)
        .await
        .unwrap();
    job.cancel().await.unwrap();
    let error = job.concluded(SOON).await.unwrap_err();
    assert!(error.to_string().starts_with("job slow: "), "{error}");
    assert_eq!(client.execute("query-jobs", ()).await.unwrap(), json!([]));

    let error = Job::start(&client, "blockdev-backup", "x", json!({})).await;
    assert!(matches!(error, Err(Error::Command { .. })), "{error:?}");
}

#[tokio::test]
async fn migrates() {
    let Some(qemu) = Qemu::start(&["-M", "virt", "-m", "32", "-S"]) else {
        return;
    };
    let client = qemu.client().await;
    let failing = json!({"uri": "tcp:127.0.0.1:1"});
    let error = recipes::migrate(&client, failing, SOON).await.unwrap_err();
    let Error::Failed { what, reason } = error else {
        panic!("{error:?}");
    };
    assert_eq!(what, "migration");
    assert!(reason.contains("Connection refused"), "{reason}");
    let arguments = json!({"uri": "exec:cat >/dev/null"});
    let outcome = recipes::migrate(&client, arguments, SOON).await.unwrap();
    assert_eq!(outcome["status"], "completed");
}

#[tokio::test]
async fn takes_a_picture() {
    let Some(qemu) = Qemu::start(&["-M", "virt", "-S", "-device", "bochs-display,id=d"]) else {
        return;
    };
    let client = qemu.client().await;
    for device in [None, Some("d")] {
        let picture = recipes::screenshot(&client, device).await.unwrap();
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{device:?}");
        assert!(picture.ends_with(b"IEND\xaeB`\x82"), "{device:?}");
    }
    // QEMU keeps the sets that it wrote pictures to, but nothing in them.
    let sets = client.execute("query-fdsets", ()).await.unwrap();
    let mut sets = sets.as_array().unwrap().iter();
    assert!(sets.all(|set| set["fds"] == json!([])));
}

#[tokio::test]
async fn a_set_of_descriptors_goes_with_its_last_user() {
    let Some(qemu) = Qemu::bare() else { return };
    let client = qemu.client().await;
    let sets = async || client.execute("query-fdsets", ()).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(4096).unwrap();
    let open = |write: bool| {
        let mut options = std::fs::File::options();
        let file = options.read(true).write(write).open(file.path());
        file.expect("it is there").into()
    };
    let set = FdSet::new(&client, vec![open(true), open(false)])
        .await
        .unwrap();
    assert_eq!(sets().await[0]["fds"].as_array().unwrap().len(), 2);
    let other = set.clone();
    drop(set);
    assert_eq!(sets().await.as_array().unwrap().len(), 1);
    let node = json!({"driver": "file", "node-name": "n", "filename": other.path()});
    client.execute("blockdev-add", node).await.unwrap();
    drop(other);
    // The node has its own; the set goes when it does.
    client
        .execute("blockdev-del", json!({"node-name": "n"}))
        .await
        .unwrap();
    assert_eq!(sets().await, json!([]));
    let error = FdSet::new(&client, Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::Usage(_)), "{error:?}");
}
