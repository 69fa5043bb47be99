//! One command from the ring to its unit and back (virtio 1.2 §5.6.6.1).

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tinamou_devices::Pass;

use super::command::Command;
use super::sense::Sense;
use super::spec::{self, response, status};
use super::task::Task;
use super::unit::{Address, Data, Failed, Reply, Unit};
use super::{Host, unit};
use crate::{Chain, Error, Reader, Writer};

/// A request's parts.
struct Parts<'a> {
    place: [u8; 8],
    tag: u64,
    cdb: Vec<u8>,
    input: Reader<'a>,
    response: Writer<'a>,
    output: Writer<'a>,
}

/// How a request ended.
struct End {
    response: u8,
    sense: Option<Sense>,
    /// Bytes of the room for data that hold none.
    residual: u64,
}

impl End {
    fn response(response: u8) -> Self {
        Self {
            response,
            sense: None,
            residual: 0,
        }
    }

    fn sense(sense: Sense) -> Self {
        Self {
            sense: Some(sense),
            ..Self::response(response::OK)
        }
    }
}

impl Host {
    /// Carries out a command and returns its chain.
    pub(super) async fn serve(self: Arc<Self>, chain: Chain, pass: Pass) {
        if self.reset.swap(false, Ordering::AcqRel) {
            drop(self.traffic.write().await);
        }
        let _traffic = self.traffic.read().await;
        let mut pass = Some(pass);
        let mut parts = match self.parts(&chain) {
            Ok(parts) => parts,
            Err(error) => return self.port.fail(error),
        };
        let Some(end) = self.end_of(&mut parts, &mut pass).await else {
            return;
        };
        let room = parts.response.remaining() + parts.output.remaining();
        let sense_room = parts
            .response
            .remaining()
            .saturating_sub(spec::RESPONSE_HEADER as u64);
        // A chain that a reset has made void is returned to nobody.
        let _ = parts.response.write_all(&encode(&end, sense_room));
        let queue = chain.queue();
        self.port
            .push(chain, u32::try_from(room).unwrap_or(u32::MAX));
        self.port.notify(queue);
    }

    /// How a request ends; nothing if a reset has come in between.
    async fn end_of(&self, parts: &mut Parts<'_>, pass: &mut Option<Pass>) -> Option<End> {
        let Some(address) = address(parts.place) else {
            return Some(End::response(response::BAD_TARGET));
        };
        let unit = self.unit(address);
        if unit.is_none() && self.luns(address.target).is_empty() {
            return Some(End::response(response::BAD_TARGET));
        }
        let (sent, room) = (parts.input.remaining(), parts.output.remaining());
        // Data go one way, unless a feature says otherwise that is not offered.
        if sent > 0 && room > 0 {
            return Some(End::response(response::FAILURE));
        }
        let command = match Command::parse(&parts.cdb) {
            Ok(command) => command,
            Err(sense) => return Some(End::sense(sense)),
        };
        let moved = command.transfer(unit.as_deref().map_or(1, Unit::block));
        let held = if command.sends() { sent } else { room };
        if moved > held {
            return Some(End::response(response::OVERRUN));
        }
        let mut end = match unit {
            Some(unit) if command.code() != super::command::op::REPORT_LUNS => {
                let begun = self.tasks.begin(address, parts.tag);
                self.carry_out(&unit, &command, parts, &begun.task, pass)
                    .await?
            }
            _ => self.ask_target(&command, address, parts),
        };
        if end.response == response::OK && end.sense.is_none() && end.residual == 0 {
            end.residual = held - moved;
        }
        Some(end)
    }

    async fn carry_out(
        &self,
        unit: &Unit,
        command: &Command,
        parts: &Parts<'_>,
        task: &Task,
        pass: &mut Option<Pass>,
    ) -> Option<End> {
        loop {
            let mut data = Data {
                input: parts.input.clone(),
                output: parts.output.clone(),
            };
            let done = unit.execute(command, &mut data).await;
            if let Some(response) = task.ended() {
                return Some(End::response(response));
            }
            let stopped = match done {
                Ok(reply) => {
                    fill(unit, command, reply, &mut data);
                    return Some(End::response(response::OK));
                }
                Err(Failed::Sense(sense)) => return Some(End::sense(sense)),
                Err(Failed::Stopped(stopped)) => stopped,
            };
            // The machine stops now, which waits for all passes.
            pass.take();
            tokio::select! {
                resumed = stopped.resumed() => if !resumed && task.ended().is_none() {
                    return None;
                },
                () = task.end() => {}
            }
            *pass = Some(self.port.admission().await);
            if let Some(response) = task.ended() {
                return Some(End::response(response));
            }
        }
    }

    fn ask_target(&self, command: &Command, address: Address, parts: &mut Parts<'_>) -> End {
        let room = parts.output.remaining();
        match self.answer_as_target(command, address) {
            Ok(mut data) => {
                data.truncate(usize::try_from(command.transfer(1)).unwrap_or(usize::MAX));
                // A chain that a reset has made void takes nothing.
                let _ = parts.output.clone().write_all(&data);
                End {
                    residual: room.saturating_sub(data.len() as u64),
                    ..End::response(response::OK)
                }
            }
            Err(sense) => End::sense(sense),
        }
    }

    /// Takes a chain apart.
    fn parts<'a>(&self, chain: &'a Chain) -> Result<Parts<'a>, Error> {
        let cdb_size = self.cdb_size.load(Ordering::Relaxed);
        let sense_size = self.sense_size.load(Ordering::Relaxed);
        let (mut input, mut response) = (chain.reader(), chain.writer());
        let answer = spec::RESPONSE_HEADER as u64 + u64::from(sense_size);
        let asked = spec::COMMAND_HEADER + u64::from(cdb_size);
        if input.remaining() < asked || response.remaining() < answer {
            return Err(Error::Request("wrong size for virtio-scsi headers"));
        }
        let output = response.split_off(answer);
        let mut head = [0; spec::COMMAND_HEADER as usize];
        let mut cdb = vec![0; cdb_size as usize];
        // A chain whose memory went away belongs to a ring that was reset.
        let _ = input.read_exact(&mut head);
        let _ = input.read_exact(&mut cdb);
        let (place, rest) = head.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let tag = rest.first_chunk().copied().map_or(0, u64::from_le_bytes);
        Ok(Parts {
            place: *place,
            tag,
            cdb,
            input,
            response,
            output,
        })
    }
}

/// Gives the initiator what it asked for, in as many bytes as it asked for.
fn fill(unit: &Unit, command: &Command, reply: Reply, data: &mut Data<'_>) {
    if let unit::Reply::Data(mut bytes) = reply {
        let room = command.transfer(unit.block()).min(data.output.remaining());
        bytes.resize(usize::try_from(room).unwrap_or(0), 0);
        // A chain that a reset has made void takes nothing.
        let _ = data.output.write_all(&bytes);
    }
}

fn encode(end: &End, sense_room: u64) -> Vec<u8> {
    let sense = end.sense.map(Sense::fixed);
    let sense = sense.as_ref().map_or(&[][..], |sense| sense);
    let sense_room = usize::try_from(sense_room).unwrap_or(usize::MAX);
    let sense = &sense[..sense.len().min(sense_room)];
    let status = match end.sense {
        Some(_) => status::CHECK_CONDITION,
        None => status::GOOD,
    };
    let mut bytes = (sense.len() as u32).to_le_bytes().to_vec();
    bytes.extend(
        u32::try_from(end.residual)
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    bytes.extend([0, 0, status, end.response]);
    bytes.extend(sense);
    bytes
}

/// The unit that eight bytes of a request mean: flat or peripheral addressing below the fixed 1.
pub(super) fn address(place: [u8; 8]) -> Option<Address> {
    let [1, target, high, low, ..] = place else {
        return None;
    };
    if high != 0 && !(0x40..0x80).contains(&high) {
        return None;
    }
    let lun = u16::from_be_bytes([high & 0x3f, low]);
    Some(Address { target, lun })
}
