//! The control queue (virtio 1.2 §5.6.6.2): task management, and notifications that there are not.

use std::io::Write;
use std::sync::Arc;

use tinamou_devices::Pass;

use super::request::address;
use super::spec::{control, response};
use super::{Address, Host};
use crate::{Chain, Error};

/// Bytes of a task management function after its type.
const TMF: u64 = 20;
/// Bytes of a question about notifications after its type.
const NOTIFICATION: u64 = 12;

/// A task management function.
struct Function {
    subtype: u32,
    target: u8,
    /// None if the bytes of the unit mean nothing.
    address: Option<Address>,
    tag: u64,
}

impl Host {
    /// Carries out a request of the control queue and returns its chain.
    pub(super) async fn manage(self: Arc<Self>, chain: Chain, pass: Pass) {
        let answer = match parse(&chain) {
            Ok(Some(function)) => {
                // It may wait for commands that wait for the machine to go on.
                drop(pass);
                vec![self.perform(&function).await]
            }
            // There are no notifications to subscribe to.
            Ok(None) => vec![0, 0, 0, 0, response::OK],
            Err(error) => return self.port.fail(error),
        };
        let _pass = self.port.admission().await;
        // A chain that a reset has made void is returned to nobody.
        let written = chain.writer().write(&answer).unwrap_or(0);
        let queue = chain.queue();
        self.port.push(chain, written as u32);
        self.port.notify(queue);
    }

    async fn perform(&self, function: &Function) -> u8 {
        let luns = self.luns(function.target);
        let (Some(address), false) = (function.address, luns.is_empty()) else {
            return response::BAD_TARGET;
        };
        if function.subtype == control::I_T_NEXUS_RESET {
            let of_target = |other: Address| other.target == address.target;
            self.reset_units(of_target).await;
            return response::OK;
        }
        if function.subtype > control::QUERY_TASK_SET {
            return response::FUNCTION_REJECTED;
        }
        if !luns.contains(&address.lun) {
            return response::INCORRECT_LUN;
        }
        self.perform_on(function, address).await
    }

    async fn perform_on(&self, function: &Function, address: Address) -> u8 {
        let tag = function.tag;
        let found = |found| match found {
            true => response::FUNCTION_SUCCEEDED,
            false => response::OK,
        };
        let tasks = &self.tasks;
        match function.subtype {
            control::ABORT_TASK => {
                let one = |task: &super::task::Task| task.address == address && task.tag == tag;
                tasks.end(one, response::ABORTED).await;
                response::OK
            }
            control::ABORT_TASK_SET | control::CLEAR_TASK_SET => {
                let ended = tasks.end(|task| task.address == address, response::ABORTED);
                ended.await;
                response::OK
            }
            control::LOGICAL_UNIT_RESET => {
                self.reset_units(|other| other == address).await;
                response::OK
            }
            control::QUERY_TASK => {
                found(tasks.any(|task| task.address == address && task.tag == tag))
            }
            control::QUERY_TASK_SET => found(tasks.any(|task| task.address == address)),
            _ => response::FUNCTION_REJECTED,
        }
    }

    async fn reset_units(&self, which: impl Fn(Address) -> bool) {
        self.tasks
            .end(|task| which(task.address), response::RESET)
            .await;
        for unit in self.units() {
            if which(unit.address()) {
                unit.reset();
            }
        }
    }
}

/// The function that a chain asks for; nothing if it asks for notifications.
fn parse(chain: &Chain) -> Result<Option<Function>, Error> {
    const SHORT: Error = Error::Request("wrong size for virtio-scsi headers");
    let mut input = chain.reader();
    let kind = input.array().map(u32::from_le_bytes).map_err(|_| SHORT)?;
    let (needed, room) = match kind {
        control::TMF => (TMF, 1),
        control::AN_QUERY | control::AN_SUBSCRIBE => (NOTIFICATION, 5),
        _ => return Err(Error::Request("unknown virtio-scsi control request")),
    };
    if input.remaining() < needed || chain.writer().remaining() < room {
        return Err(SHORT);
    }
    if kind != control::TMF {
        return Ok(None);
    }
    let mut take = || -> std::io::Result<Function> {
        let subtype = u32::from_le_bytes(input.array()?);
        let place: [u8; 8] = input.array()?;
        Ok(Function {
            subtype,
            target: place[1],
            address: address(place),
            tag: u64::from_le_bytes(input.array()?),
        })
    };
    take().map(Some).map_err(|_| SHORT)
}
