//! What disks hold: counters, the write cache, policies for errors.

use std::sync::Arc;

use tinamou_block::{BlockBackend, Driver, Extent, Io, Operation, Policies, Zeroes};
use tinamou_block::{ErrorAction, ErrorPolicy, Failure, Stopped};

use crate::support::{Image, Watch, backend, file_node, node, run};

#[test]
fn requests_are_counted() {
    let image = Image::new(&[0; 8192]);
    run(async {
        let (disk, _) = backend(&file_node(&image.path()));
        let mut bytes = [0; 512];
        disk.read(0, &mut bytes).await.expect("a read");
        disk.write(4096, &bytes).await.expect("a write");
        disk.write_zeroes(0..1024, Zeroes::default())
            .await
            .expect("zeros");
        disk.discard(0..512, false).await.expect("a discard");
        disk.flush().await.expect("a flush");
        let counted = Operation::ALL.map(|operation| {
            let counters = disk.stats().counters(operation);
            (counters.operations, counters.bytes)
        });
        assert_eq!(counted, [(1, 512), (2, 1536), (1, 0), (0, 0)]);
        assert_eq!(disk.medium().expect("a medium").highest_write(), 4608);
    });
}

/// Fails writes with an error of the host until told otherwise.
struct Failing {
    errno: std::sync::atomic::AtomicI32,
}

impl Failing {
    fn fail(&self) -> Io<'_> {
        let errno = self.errno.load(std::sync::atomic::Ordering::Relaxed);
        Box::pin(async move {
            match errno {
                0 => Ok(()),
                errno => Err(std::io::Error::from_raw_os_error(errno)),
            }
        })
    }
}

impl Driver for &'static Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn size(&self) -> u64 {
        1024
    }

    fn read<'a>(&'a self, _: u64, _: &'a mut [u8]) -> Io<'a> {
        self.fail()
    }

    fn write<'a>(&'a self, _: u64, _: &'a [u8]) -> Io<'a> {
        self.fail()
    }

    fn write_zeroes(&self, _: std::ops::Range<u64>, _: Zeroes) -> Io<'_> {
        self.fail()
    }

    fn discard(&self, _: std::ops::Range<u64>) -> Io<'_> {
        self.fail()
    }

    fn flush(&self) -> Io<'_> {
        self.fail()
    }

    fn resize(&self, _: u64) -> Io<'_> {
        self.fail()
    }

    fn extent(&self, range: std::ops::Range<u64>) -> Io<'_, Extent> {
        let length = range.end - range.start;
        Box::pin(async move {
            Ok(Extent {
                length,
                allocated: true,
                zero: false,
            })
        })
    }

    fn filename(&self) -> String {
        String::new()
    }
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn failing(errno: i32) -> (&'static Failing, Arc<BlockBackend>, Arc<Watch>) {
    let failing: &'static Failing = Box::leak(Box::new(Failing {
        errno: errno.into(),
    }));
    let (backend, watch) = backend(&node("bad", failing));
    (failing, backend, watch)
}

#[test]
fn policies_decide_what_the_guest_is_told() {
    use ErrorAction::{Ignore, Report};
    let rows = [
        (ErrorPolicy::Report, EIO, false, Report),
        (ErrorPolicy::Report, ENOSPC, false, Report),
        (ErrorPolicy::Ignore, EIO, true, Ignore),
        (ErrorPolicy::Enospc, EIO, false, Report),
        (ErrorPolicy::Auto, EIO, false, Report),
    ];
    for (policy, errno, worked, action) in rows {
        let (_, disk, watch) = failing(errno);
        disk.set_policies(Policies {
            read: ErrorPolicy::Auto,
            write: policy,
        });
        let done = run(disk.write(0, &[1]));
        assert_eq!(done.is_ok(), worked, "{policy:?} {errno}");
        let seen = watch.0.lock().expect("no panic");
        assert_eq!(seen[0].action, action, "{policy:?} {errno}");
        assert_eq!(seen[0].no_space, errno == ENOSPC);
        assert!(!seen[0].is_read);
    }
}

/// Writes, which stops the machine.
async fn stopped(disk: &BlockBackend) -> Stopped {
    match disk.write(0, &[1; 512]).await {
        Err(Failure::Stopped(stopped)) => stopped,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_disk_stops_and_is_tried_again() {
    let (bad, disk, watch) = failing(ENOSPC);
    run(async {
        let stopped = stopped(&disk).await;
        let reason = watch.0.lock().expect("no panic")[0].reason.clone();
        assert_eq!(reason, "No space left on device");
        bad.errno.store(0, std::sync::atomic::Ordering::Relaxed);
        // Whoever asks is told even if the machine has gone on before.
        disk.resume();
        assert!(stopped.resumed().await);
        disk.write(0, &[1; 512]).await.expect("there is space now");
        let counters = disk.stats().counters(Operation::Write);
        assert_eq!((counters.failed, counters.operations), (1, 1));
    });
}

#[test]
fn a_reset_gives_up_what_waits() {
    let (_, disk, _) = failing(ENOSPC);
    run(async {
        let stopped = stopped(&disk).await;
        disk.abandon();
        assert!(!stopped.resumed().await);
        disk.drain().await;
    });
}

#[test]
fn without_a_medium_there_is_nothing() {
    run(async {
        let (_, disk, _) = failing(0);
        drop(disk.remove());
        assert_eq!(disk.size(), 0);
        let Err(Failure::Report(error)) = disk.read(0, &mut [0]).await else {
            panic!("there is no medium");
        };
        assert_eq!(error.raw_os_error(), Some(123));
    });
}

#[test]
fn a_write_beyond_the_threshold_is_told_once() {
    #[derive(Default)]
    struct Heard(std::sync::Mutex<Vec<(String, u64, u64)>>);

    impl tinamou_block::Observer for Heard {
        fn io_error(&self, _: &tinamou_block::IoError) {}

        fn write_threshold(&self, node: &str, exceeded: u64, threshold: u64) {
            let mut heard = self.0.lock().expect("no panic");
            heard.push((node.to_owned(), exceeded, threshold));
        }
    }

    run(async {
        let heard = Arc::new(Heard::default());
        let runtime = tokio::runtime::Handle::current();
        let graph = tinamou_block::Graph::new(runtime, Arc::clone(&heard) as _);
        let options = crate::support::options("{'driver': 'null-co', 'node-name': 'n'}");
        let node = graph.add(options).await.expect("a node");
        node.set_write_threshold(4096);
        for offset in [0, 4000, 4096, 8192] {
            node.write(offset, &[1; 96]).await.expect("a write");
        }
        assert_eq!(node.write_threshold(), 0);
        let heard = heard.0.lock().expect("no panic");
        assert_eq!(*heard, [("n".to_owned(), 96, 4096)]);
    });
}
