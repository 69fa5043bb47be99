//! `iothread`: a thread of its own for the work of some devices.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;

use tinamou_api as api;
use tinamou_monitor::IoThread;
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::Property;
use tokio::runtime::Handle;

use super::user::UserType;
use crate::commands::machine::reason;

/// The type.
pub const TYPE: UserType = UserType {
    name: "iothread",
    parent: "event-loop-base",
    properties: &[
        ("aio-max-batch", "int", None),
        ("poll-grow", "int", None),
        ("poll-max-ns", "int", None),
        ("poll-shrink", "int", None),
        ("thread-pool-max", "int", None),
        ("thread-pool-min", "int", None),
    ],
};

/// A thread and what its user said of it. The host's poller decides by itself
/// when to look and when to sleep; the numbers are kept for whoever asks.
pub struct Iothread {
    thread: IoThread,
    thread_id: i64,
    /// `poll-max-ns`
    pub poll_max_ns: Cell<i64>,
    /// `poll-grow`
    pub poll_grow: Cell<i64>,
    /// `poll-shrink`
    pub poll_shrink: Cell<i64>,
    /// `aio-max-batch`
    pub aio_max_batch: Cell<i64>,
    pool_min: Cell<i64>,
    pool_max: Cell<i64>,
}

impl Iothread {
    /// Starts a thread.
    ///
    /// # Errors
    /// A number is out of range, or the host has no thread left.
    pub fn new(id: &str, options: &api::IothreadProperties) -> Result<Self> {
        let base = &options.base;
        let number = |name, given: Option<i64>, default| {
            let number = given.unwrap_or(default);
            in_range(name, number).map(|()| Cell::new(number))
        };
        let pool_min = base.thread_pool_min.unwrap_or(0);
        let pool_max = base.thread_pool_max.unwrap_or(64);
        check_pool(pool_min, pool_max)?;
        let (poll_max_ns, poll_grow, poll_shrink, aio_max_batch) = (
            number("poll-max-ns", options.poll_max_ns, 32_768)?,
            number("poll-grow", options.poll_grow, 0)?,
            number("poll-shrink", options.poll_shrink, 0)?,
            number("aio-max-batch", base.aio_max_batch, 0)?,
        );
        let failed = |error: std::io::Error| Error::generic(reason(&error));
        let thread = IoThread::spawn(&format!("IO {id}")).map_err(failed)?;
        Ok(Self {
            thread_id: thread_id(thread.handle()),
            thread,
            poll_max_ns,
            poll_grow,
            poll_shrink,
            aio_max_batch,
            pool_min: Cell::new(pool_min),
            pool_max: Cell::new(pool_max),
        })
    }

    /// To spawn tasks on it.
    pub fn handle(&self) -> &Handle {
        self.thread.handle()
    }

    /// The host's id of the thread.
    pub fn thread_id(&self) -> i64 {
        self.thread_id
    }

    pub(super) fn properties(this: &Rc<Self>) -> Vec<(&'static str, Property)> {
        type Slot = fn(&Iothread) -> &Cell<i64>;
        let ranged: [(&'static str, Slot); 4] = [
            ("poll-max-ns", |thread| &thread.poll_max_ns),
            ("poll-grow", |thread| &thread.poll_grow),
            ("poll-shrink", |thread| &thread.poll_shrink),
            ("aio-max-batch", |thread| &thread.aio_max_batch),
        ];
        let ranged = ranged.map(|(name, slot)| {
            let check = move |_: &Self, number| in_range(name, number);
            (name, this.number(name, slot, check))
        });
        type Check = fn(&Iothread, i64) -> Result<()>;
        let pool: [(&'static str, Slot, Check); 2] = [
            (
                "thread-pool-min",
                |thread| &thread.pool_min,
                |thread, min| check_pool(min, thread.pool_max.get()),
            ),
            (
                "thread-pool-max",
                |thread| &thread.pool_max,
                |thread, max| check_pool(thread.pool_min.get(), max),
            ),
        ];
        let pool = pool.map(|(name, slot, check)| (name, this.number(name, slot, check)));
        ranged.into_iter().chain(pool).collect()
    }

    fn number(
        self: &Rc<Self>,
        name: &'static str,
        slot: fn(&Self) -> &Cell<i64>,
        check: impl Fn(&Self, i64) -> Result<()> + 'static,
    ) -> Property {
        let (reader, writer) = (Rc::clone(self), Rc::clone(self));
        Property::writable::<i64>(
            name,
            "int",
            move || Value::Int(slot(&reader).get()),
            move |number| {
                check(&writer, number)?;
                slot(&writer).set(number);
                Ok(())
            },
        )
    }
}

fn in_range(name: &str, number: i64) -> Result<()> {
    if number < 0 {
        let max = i64::MAX;
        return Err(Error::generic(format!(
            "{name} value must be in range [0, {max}]"
        )));
    }
    Ok(())
}

fn check_pool(min: i64, max: i64) -> Result<()> {
    if min < 0 || max <= 0 || min > max {
        return Err(Error::generic("bad thread-pool-min/thread-pool-max values"));
    }
    Ok(())
}

/// Asks a thread for its id.
fn thread_id(handle: &Handle) -> i64 {
    let (tell, told) = mpsc::channel();
    handle.spawn(async move {
        // Nobody may be listening any more.
        let _ = tell.send(rustix::thread::gettid());
    });
    let id = told.recv().ok();
    id.map_or(0, |id| id.as_raw_nonzero().get().into())
}
