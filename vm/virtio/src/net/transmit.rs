//! From the driver to the network.

use std::io::Read;

use tinamou_net::{Frame, MAX_FRAME, vnet};

use super::spec::feature;
use super::{Net, transmit_queue};
use crate::{Chain, Error};

/// The shortest frame: two addresses and a type.
const LEAST_FRAME: usize = 14;

impl Net {
    /// Hands over what the driver wants to send, as long as the network takes it.
    pub(super) fn transmit(&self, pair: usize) {
        let queue = transmit_queue(pair);
        let mut returned = false;
        while let Some(chain) = self.port.pop(queue) {
            match self.read_frame(&chain) {
                Ok(Some(frame)) => {
                    if self.nic.ports()[pair].try_send(frame).is_err() {
                        // The network rings when there is room.
                        self.port.unpop(chain);
                        break;
                    }
                }
                Ok(None) => {}
                Err(error) => return self.port.fail(error),
            }
            self.port.push(chain, 0);
            returned = true;
        }
        if returned {
            self.port.notify(queue);
        }
    }

    /// The frame in a chain, or nothing if it is none that can be sent.
    fn read_frame(&self, chain: &Chain) -> Result<Option<Frame>, Error> {
        let mut reader = chain.reader();
        let short = |_| Error::Request("a packet without its header");
        let head: [u8; vnet::SHORT] = reader.array().map_err(short)?;
        let rest = (self.header_length() - vnet::SHORT) as u64;
        if reader.skip(rest) < rest {
            return Err(Error::Request("a packet without its header"));
        }
        let length = reader.remaining() as usize;
        if !(LEAST_FRAME..=MAX_FRAME).contains(&length) {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        // A reset meanwhile makes the chain void: then nothing is sent.
        if reader.read_exact(&mut bytes).is_err() {
            return Ok(None);
        }
        Ok(vnet::decode(&head, bytes))
    }

    /// How long the header before each packet is.
    pub(super) fn header_length(&self) -> usize {
        if self
            .port
            .has(crate::feature::VERSION_1 | feature::MRG_RXBUF)
        {
            vnet::LONG
        } else {
            vnet::SHORT
        }
    }
}
