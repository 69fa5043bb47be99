//! Commands under way, so that task management finds them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Address;

/// A command under way.
pub(super) struct Task {
    /// The unit that carries it out.
    pub address: Address,
    /// What the driver calls it.
    pub tag: u64,
    /// How it ends if task management has ended it.
    ended: Mutex<Option<u8>>,
    wake: Notify,
}

impl Task {
    /// How task management has ended it.
    pub fn ended(&self) -> Option<u8> {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until task management ends it.
    pub async fn end(&self) {
        self.wake.notified().await;
    }
}

/// The commands under way.
#[derive(Default)]
pub(super) struct Tasks {
    list: Mutex<Vec<Arc<Task>>>,
    less: Notify,
}

impl Tasks {
    /// A command begins; it is under way as long as what this returns lives.
    pub fn begin(&self, address: Address, tag: u64) -> Begun<'_> {
        let task = Arc::new(Task {
            address,
            tag,
            ended: Mutex::default(),
            wake: Notify::new(),
        });
        self.list().push(Arc::clone(&task));
        Begun { tasks: self, task }
    }

    /// Whether a command of which `which` holds is under way.
    pub fn any(&self, which: impl Fn(&Task) -> bool) -> bool {
        self.list().iter().any(|task| which(task))
    }

    /// Ends the commands of which `which` holds with that response, and waits until they are gone.
    /// Those that came later are left alone.
    pub async fn end(&self, which: impl Fn(&Task) -> bool, response: u8) {
        let mut chosen = self.list().clone();
        chosen.retain(|task| which(task));
        for task in &chosen {
            let mut ended = task.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.get_or_insert(response);
            task.wake.notify_one();
        }
        loop {
            let mut less = std::pin::pin!(self.less.notified());
            less.as_mut().enable();
            let mut left = chosen.iter();
            if !left.any(|task| self.list().iter().any(|other| Arc::ptr_eq(task, other))) {
                return;
            }
            less.await;
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Task>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command that has begun.
pub(super) struct Begun<'a> {
    tasks: &'a Tasks,
    pub task: Arc<Task>,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.tasks
            .list()
            .retain(|task| !Arc::ptr_eq(task, &self.task));
        self.tasks.less.notify_waiters();
    }
}
