//! The control queue (virtio 1.2 §5.1.6.5).

use std::io::{Read, Write};

use tinamou_net::MacAddress;

use super::spec::{control, feature};
use super::{Net, OFFLOADS, receive_queue, transmit_queue};
use crate::{Chain, Error, Reader};

/// The longest command: two tables of addresses, with room for a driver that means it.
const LONGEST: u64 = 64 * 1024;

impl Net {
    /// Carries out the commands of the driver.
    pub(super) fn obey(&self, queue: usize) {
        while let Some(chain) = self.port.pop(queue) {
            if chain.writer().remaining() == 0 || chain.reader().remaining() < 2 {
                return self
                    .port
                    .fail(Error::Request("a command without its header"));
            }
            let done = self.command(&chain).is_some();
            let answer = if done { control::OK } else { control::ERR };
            // A reset meanwhile makes the chain void.
            let _ = chain.writer().write_all(&[answer]);
            self.port.push(chain, 1);
            self.port.notify(queue);
        }
    }

    /// `None` if the command makes no sense.
    fn command(&self, chain: &Chain) -> Option<()> {
        let mut reader = chain.reader();
        let [class, command] = reader.array().ok()?;
        match (class, command) {
            control::MAC_TABLE_SET => self.set_tables(&mut reader)?,
            control::MAC_ADDR_SET => {
                let mac = whole(&mut reader)?;
                self.set_mac(MacAddress(mac));
            }
            control::VLAN_ADD | control::VLAN_DEL => {
                let id = u16::from_le_bytes(whole(&mut reader)?);
                let on = (class, command) == control::VLAN_ADD;
                self.state().filter.set_vlan(id, on).then_some(())?;
            }
            control::ANNOUNCE_ACK => return self.announced(),
            control::MQ_VQ_PAIRS_SET => {
                return self.choose_pairs(u16::from_le_bytes(whole(&mut reader)?));
            }
            control::GUEST_OFFLOADS_SET => {
                let offloads = u64::from_le_bytes(whole(&mut reader)?);
                return self.change_offloads(offloads);
            }
            mode => self.set_mode(mode, &mut reader)?,
        }
        self.note_filter();
        Some(())
    }

    fn set_mode(&self, mode: (u8, u8), reader: &mut Reader<'_>) -> Option<()> {
        let [on] = reader.array().ok()?;
        let mut state = self.state();
        let modes = &mut state.filter.modes;
        let mode = match mode {
            control::RX_PROMISC => &mut modes.promiscuous,
            control::RX_ALLMULTI => &mut modes.all_multicast,
            control::RX_ALLUNI => &mut modes.all_unicast,
            control::RX_NOMULTI => &mut modes.no_multicast,
            control::RX_NOUNI => &mut modes.no_unicast,
            control::RX_NOBCAST => &mut modes.no_broadcast,
            _ => return None,
        };
        *mode = on != 0;
        Some(())
    }

    /// Two tables, each after the number of its entries.
    fn set_tables(&self, reader: &mut Reader<'_>) -> Option<()> {
        let unicast = table(reader)?;
        let multicast = table(reader)?;
        if reader.remaining() != 0 {
            return None;
        }
        self.state().filter.set_tables(&unicast, &multicast);
        Some(())
    }

    fn choose_pairs(&self, pairs: u16) -> Option<()> {
        let pairs = usize::from(pairs);
        if !self.port.has(feature::MQ) || !(1..=self.pairs()).contains(&pairs) {
            return None;
        }
        self.use_pairs(pairs);
        for pair in 0..pairs {
            // The driver may have kicked them before.
            self.port.wake(receive_queue(pair));
            self.port.wake(transmit_queue(pair));
        }
        Some(())
    }

    fn announced(&self) -> Option<()> {
        let mut state = self.state();
        std::mem::take(&mut state.announce).then_some(())
    }

    fn change_offloads(&self, offloads: u64) -> Option<()> {
        let possible = self.port.features() & OFFLOADS;
        if !self.port.has(feature::CTRL_GUEST_OFFLOADS) || offloads & !possible != 0 {
            return None;
        }
        self.set_offloads(offloads);
        Some(())
    }
}

/// What is left must be just this.
fn whole<const N: usize>(reader: &mut Reader<'_>) -> Option<[u8; N]> {
    if reader.remaining() != N as u64 {
        return None;
    }
    reader.array().ok()
}

fn table(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let entries = u32::from_le_bytes(reader.array().ok()?);
    let length = u64::from(entries) * 6;
    if length > reader.remaining().min(LONGEST) {
        return None;
    }
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
