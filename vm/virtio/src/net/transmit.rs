//! From the driver to the network.

use std::io::Read;

use tinamou_net::{Frame, MAX_FRAME};

use super::spec::{feature, header};
use super::{Net, TRANSMIT, packet};
use crate::{Chain, Error};

/// The shortest frame: two addresses and a type.
const LEAST_FRAME: usize = 14;

impl Net {
    /// Hands over what the driver wants to send, as long as the network takes it.
    pub(super) fn transmit(&self) {
        let mut returned = false;
        while let Some(chain) = self.port.pop(TRANSMIT) {
            match self.read_frame(&chain) {
                Ok(Some(frame)) => {
                    if self.nic.port().try_send(frame).is_err() {
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
            self.port.notify(TRANSMIT);
        }
    }

    /// The frame in a chain, or nothing if it is none that can be sent.
    fn read_frame(&self, chain: &Chain) -> Result<Option<Frame>, Error> {
        let mut reader = chain.reader();
        let short = |_| Error::Request("a packet without its header");
        let head: [u8; header::SHORT] = reader.array().map_err(short)?;
        let rest = (self.header_length() - header::SHORT) as u64;
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
        Ok(packet::decode(&head, bytes))
    }

    /// How long the header before each packet is.
    pub(super) fn header_length(&self) -> usize {
        if self
            .port
            .has(crate::feature::VERSION_1 | feature::MRG_RXBUF)
        {
            header::LONG
        } else {
            header::SHORT
        }
    }
}
