//! From the network to the driver.

use std::io::Write;

use tinamou_net::{Frame, vnet};

use super::spec::feature;
use super::{Net, receive_queue};
use crate::Chain;

/// The buffers a packet may be spread over.
const MOST_BUFFERS: usize = 1024;

/// What became of a packet.
enum Delivery {
    Done,
    /// The driver has too few buffers: the packet waits until there are more.
    NoRoom(Frame),
}

impl Net {
    /// Fills the driver's buffers with what has come, as long as there are any.
    pub(super) fn receive(&self, pair: usize) {
        let mut delivered = false;
        while let Some(frame) = self.next_frame(pair) {
            match self.deliver(pair, frame) {
                Delivery::Done => delivered = true,
                Delivery::NoRoom(frame) => {
                    self.state().waiting[pair] = Some(frame);
                    break;
                }
            }
        }
        if delivered {
            self.port.notify(receive_queue(pair));
        }
    }

    /// The next frame that the filter lets in.
    fn next_frame(&self, pair: usize) -> Option<Frame> {
        if let Some(frame) = self.state().waiting[pair].take() {
            return Some(frame);
        }
        loop {
            let frame = self.nic.ports()[pair].try_recv()?;
            if self.state().filter.admits(&frame) {
                return Some(frame);
            }
        }
    }

    fn deliver(&self, pair: usize, frame: Frame) -> Delivery {
        let length = self.header_length() + frame.len();
        let mergeable = self.port.has(feature::MRG_RXBUF);
        let most = if mergeable { MOST_BUFFERS } else { 1 };
        let mut chains: Vec<Chain> = Vec::new();
        let mut room = 0;
        while room < length && chains.len() < most {
            let Some(chain) = self.port.pop(receive_queue(pair)) else {
                self.put_back(chains);
                return Delivery::NoRoom(frame);
            };
            room += chain.writer().remaining() as usize;
            chains.push(chain);
        }
        if room < length {
            // It will never fit.
            self.put_back(chains);
            return Delivery::Done;
        }
        self.fill(chains, &frame);
        Delivery::Done
    }

    fn put_back(&self, chains: Vec<Chain>) {
        for chain in chains.into_iter().rev() {
            self.port.unpop(chain);
        }
    }

    fn fill(&self, chains: Vec<Chain>, frame: &Frame) {
        // No packet needs more buffers than a ring has.
        let head = vnet::encode(frame, chains.len() as u16);
        let mut head = &head[..self.header_length()];
        let mut rest: &[u8] = frame;
        let filled = chains.into_iter().map(|chain| {
            let mut writer = chain.writer();
            let mut written = 0;
            for bytes in [&mut head, &mut rest] {
                // Fails when a reset has made the chain void; then so are all.
                let count = writer.write(bytes).unwrap_or(0);
                *bytes = &bytes[count..];
                written += count as u32;
            }
            (chain, written)
        });
        let filled: Vec<_> = filled.collect();
        self.port.push_all(filled);
    }
}
