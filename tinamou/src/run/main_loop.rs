//! The main loop: runs commands, and does what devices and signals ask for.

use std::sync::Arc;

use tinamou_monitor::MainLoop;
use tokio::sync::Notify;

use crate::qtest::{Qtest, Work};
use crate::vm::Vm;

/// What the main loop waits for beside commands.
pub(super) struct Chores {
    /// Rung when the machine's requests should be looked at.
    asked: Arc<Notify>,
}

impl Chores {
    /// Listens to the machine's requests.
    pub(super) fn new(vm: &Vm) -> Self {
        let asked = Arc::new(Notify::new());
        let ring = Arc::clone(&asked);
        vm.machine.requests().on_request(move || ring.notify_one());
        Self { asked }
    }

    /// Whether something was asked before `event` happened.
    pub(super) async fn asked_before(&self, event: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = event => false,
            () = self.asked.notified() => {
                // It is still to be done.
                self.asked.notify_one();
                true
            }
        }
    }

    /// Runs commands and does chores until the end is decided: the status to
    /// end with.
    pub(super) async fn work(
        &self,
        vm: &mut Vm,
        mut main_loop: MainLoop<Vm>,
        mut qtest: Option<Qtest>,
    ) -> u8 {
        let ejections = vm.devices.ejections.clone();
        loop {
            tokio::select! {
                () = self.asked.notified() => vm.process_requests(),
                () = ejections.happened() => vm.remove_ejected(),
                Some(job) = main_loop.recv() => {
                    job.run(vm);
                    while vm.exit.is_none() && let Some(job) = main_loop.try_recv() {
                        job.run(vm);
                    }
                }
                work = next_work(&mut qtest) => {
                    if let Some(qtest) = &mut qtest {
                        qtest.carry_out(work, &mut vm.machine);
                    }
                }
            }
            if let Some(status) = vm.exit {
                return status;
            }
        }
    }
}

async fn next_work(qtest: &mut Option<Qtest>) -> Work {
    match qtest {
        Some(qtest) => qtest.recv().await,
        None => std::future::pending().await,
    }
}
