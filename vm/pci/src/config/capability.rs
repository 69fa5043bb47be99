//! Building the lists of capabilities.

use super::{Bar, ConfigSpace, EXPRESS_SIZE};
use crate::spec::{capability, express, header, msi, msix, pm};

/// Where the capabilities are that the crate itself works on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    express: Option<u16>,
    pm: Option<u16>,
    msi: Option<u16>,
    msix: Option<u16>,
    /// The last of the extended capabilities.
    extended: Option<u16>,
}

/// What a function is on its link (PCIe 5.0 §7.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum PortType {
    /// A function at the end of a link.
    Endpoint = 0,
    /// A function built into the root complex.
    IntegratedEndpoint = 9,
    /// The root of a hierarchy.
    RootPort = 4,
    /// A switch's port towards the root.
    UpstreamPort = 5,
    /// A switch's port away from the root.
    DownstreamPort = 6,
    /// A bridge to conventional PCI.
    PciBridge = 7,
}

/// The PCI Express capability (PCIe 5.0 §7.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Express {
    /// What the function is.
    pub port_type: PortType,
    /// Device capabilities.
    pub device: u32,
    /// Link capabilities; speed and width are taken over into the link's status.
    pub link: u32,
    /// Device capabilities 2.
    pub device2: u32,
    /// Bits of device control the guest may write.
    pub device_control: u16,
    /// Bits of link control the guest may write.
    pub link_control: u16,
    /// Bits of device control 2 the guest may write.
    pub device_control2: u16,
}

impl Express {
    /// An endpoint with a link of one lane and 2.5 GT/s that can be reset by itself.
    #[must_use]
    pub const fn endpoint() -> Self {
        Self {
            port_type: PortType::Endpoint,
            device: express::DEVCAP_RBER | express::DEVCAP_EXT_TAG | express::DEVCAP_FLR,
            link: express::LINK_X1_2_5GT,
            device2: express::DEVCAP2_PREFIXES,
            device_control: 0,
            link_control: express::LNKCTL_CLOCKS,
            device_control2: express::DEVCTL2_PREFIX_BLOCKING,
        }
    }
}

/// Where the tables of MSI-X are (PCI 3.0 §6.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixLayout {
    /// How many vectors, 1 to 2048.
    pub vectors: u16,
    /// The bar of the table, and where it begins in it.
    pub table: (u8, u32),
    /// The bar of the pending bits, and where they begin in it.
    pub pending: (u8, u32),
}

impl MsixLayout {
    /// Tables in a bar of their own, as QEMU lays them out: the table in the first half, the
    /// pending bits in the second. The bar is the second result.
    #[must_use]
    pub fn exclusive(bar: u8, vectors: u16) -> (Self, Bar) {
        let table = u32::from(vectors) * msix::ENTRY_SIZE;
        let half = (table.max(0x800)).next_power_of_two();
        let layout = Self {
            vectors,
            table: (bar, 0),
            pending: (bar, half),
        };
        (layout, Bar::memory(2 * u64::from(half)))
    }
}

/// What MSI of a function offers (PCI 3.0 §6.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiLayout {
    /// How many vectors as a power of two: 0 for one.
    pub vectors_log2: u8,
    /// Each vector can be masked.
    pub maskable: bool,
}

impl ConfigSpace {
    /// Adds a capability and gives back its offset. `contents` follow the id and the link to the
    /// next; the guest can write none of it until told otherwise.
    ///
    /// # Panics
    /// There is no room; a device's capabilities are known when it is written.
    pub fn add_capability(&mut self, id: u8, at: Option<u16>, contents: &[u8]) -> u16 {
        let size = contents.len() + 2;
        let offset = at
            .or_else(|| self.free_space(size))
            .expect("a device's capabilities fit into its configuration space");
        self.claim(offset, size);
        self.set_byte(offset, id);
        self.set_byte(offset + 1, self.byte(header::CAPABILITY_LIST));
        self.set_bytes(offset + 2, contents);
        self.set_byte(header::CAPABILITY_LIST, offset as u8);
        offset
    }

    /// Adds an extended capability (PCIe 5.0 §7.6.3) of `size` bytes, its header included.
    ///
    /// # Panics
    /// The function is a conventional one.
    pub fn add_extended_capability(&mut self, id: u16, version: u8, offset: u16, size: usize) {
        assert_eq!(self.size(), EXPRESS_SIZE, "no extended capabilities here");
        self.claim(offset, size);
        self.set_long(offset, u32::from(id) | u32::from(version & 0xf) << 16);
        if let Some(last) = self.places.extended.replace(offset) {
            let kept = self.word(last + 2) & 0xf;
            self.set_word(last + 2, kept | offset << 4);
        }
    }

    /// Adds power management (PCI PM 1.2 §3.2) of version 1.2, with power states D0 and D3. The
    /// guest can change the state if `writable`.
    pub fn add_power_management(&mut self, at: Option<u16>, writable: bool) -> u16 {
        let offset = self.add_capability(capability::PM, at, &[0x03, 0, 0, 0, 0, 0]);
        if writable {
            self.set_writable_word(offset + pm::CONTROL, pm::STATE_MASK);
        }
        self.places.pm = Some(offset);
        offset
    }

    /// Adds the PCI Express capability, version 2.
    pub fn add_express(&mut self, at: Option<u16>, express: &Express) -> u16 {
        let mut contents = [0; express::SIZE - 2];
        contents[..2].copy_from_slice(&(2 | (express.port_type as u16) << 4).to_le_bytes());
        let offset = self.add_capability(capability::EXPRESS, at, &contents);
        self.set_long(offset + express::DEVCAP, express.device);
        self.set_long(offset + express::LNKCAP, express.link);
        self.set_long(offset + express::DEVCAP2, express.device2);
        if express.port_type != PortType::IntegratedEndpoint {
            let status = express.link as u16 & express::LINK_SPEED_AND_WIDTH;
            self.set_word(offset + express::LNKSTA, status);
        }
        let reset = if express.device & express::DEVCAP_FLR != 0 {
            express::DEVCTL_FLR
        } else {
            0
        };
        self.set_writable_word(offset + express::DEVCTL, express.device_control | reset);
        self.set_writable_word(offset + express::LNKCTL, express.link_control);
        self.set_writable_word(offset + express::DEVCTL2, express.device_control2);
        // Without any extended capability the list is there and empty (PCIe 5.0 §7.6.2).
        self.set_writable_long(super::CONVENTIONAL_SIZE, 0);
        self.places.express = Some(offset);
        offset
    }

    /// Adds MSI-X; the crate keeps its tables.
    pub fn add_msix(&mut self, at: Option<u16>, layout: &MsixLayout) -> u16 {
        let mut contents = [0; msix::SIZE - 2];
        contents[..2].copy_from_slice(&(layout.vectors.saturating_sub(1) & 0x7ff).to_le_bytes());
        let place = |(bar, offset): (u8, u32)| (offset | u32::from(bar & 7)).to_le_bytes();
        contents[2..6].copy_from_slice(&place(layout.table));
        contents[6..10].copy_from_slice(&place(layout.pending));
        let offset = self.add_capability(capability::MSIX, at, &contents);
        let control = msix::CONTROL_ENABLE | msix::CONTROL_MASK_ALL;
        self.set_writable_word(offset + msix::CONTROL, control);
        self.places.msix = Some(offset);
        offset
    }

    /// Adds MSI with 64-bit addresses; the crate looks after pending messages.
    pub fn add_msi(&mut self, at: Option<u16>, layout: &MsiLayout) -> u16 {
        let vectors = u16::from(layout.vectors_log2.min(5));
        let maskable = if layout.maskable {
            msi::CONTROL_MASKABLE
        } else {
            0
        };
        let flags = msi::CONTROL_64BIT | maskable | vectors << 1;
        let mut contents = [0; msi::SIZE_MASKABLE - 2];
        contents[..2].copy_from_slice(&flags.to_le_bytes());
        let size = if layout.maskable {
            msi::SIZE_MASKABLE
        } else {
            msi::SIZE
        };
        let offset = self.add_capability(capability::MSI, at, &contents[..size - 2]);
        let multiple = if vectors > 0 {
            msi::CONTROL_MULTIPLE
        } else {
            0
        };
        self.set_writable_word(offset + msi::CONTROL, msi::CONTROL_ENABLE | multiple);
        self.set_writable_long(offset + msi::ADDRESS, 0xffff_fffc);
        self.set_writable_long(offset + msi::ADDRESS_HIGH, u32::MAX);
        self.set_writable_word(offset + msi::DATA, u16::MAX);
        if layout.maskable {
            let mask = u32::MAX >> (32 - (1 << vectors));
            self.set_writable_long(offset + msi::MASK, mask);
        }
        self.places.msi = Some(offset);
        offset
    }

    /// The capabilities by id and offset, in the order of their list; nothing if the list never
    /// ends.
    #[must_use]
    pub fn capabilities(&self) -> Option<Vec<(u8, u16)>> {
        /// More do not fit behind the header.
        const LIMIT: usize = 48;
        let mut found = Vec::new();
        let mut at = u16::from(self.byte(header::CAPABILITY_LIST));
        while at != 0 {
            if found.len() == LIMIT {
                return None;
            }
            found.push((self.byte(at), at));
            at = self.byte(at + 1).into();
        }
        Some(found)
    }

    /// Where the PCI Express capability is.
    #[must_use]
    pub fn express_offset(&self) -> Option<u16> {
        self.places.express
    }

    /// Where the MSI capability is.
    #[must_use]
    pub fn msi_offset(&self) -> Option<u16> {
        self.places.msi
    }

    /// Where the MSI-X capability is.
    #[must_use]
    pub fn msix_offset(&self) -> Option<u16> {
        self.places.msix
    }

    /// The power state, 0 for fully on to 3 for off (PCI PM 1.2 §5.3).
    pub(super) fn power_state(&self) -> u16 {
        let register = self.places.pm.map(|at| at + pm::CONTROL);
        register.map_or(0, |register| self.word(register) & pm::STATE_MASK)
    }

    /// Keeps the power state that was if the present one is one the function does not have: it
    /// has 0 and 3.
    pub(super) fn keep_power_state(&mut self, before: u16) {
        let Some(register) = self.places.pm.map(|at| at + pm::CONTROL) else {
            return;
        };
        if matches!(self.power_state(), 1 | 2) {
            let kept = self.word(register) & !pm::STATE_MASK;
            self.set_word(register, kept | before);
        }
    }

    /// Whether the guest has just asked for a reset of this function; the bit reads as zero.
    pub(super) fn take_function_reset(&mut self) -> bool {
        let Some(register) = self.places.express.map(|at| at + express::DEVCTL) else {
            return false;
        };
        let control = self.word(register);
        self.set_word(register, control & !express::DEVCTL_FLR);
        control & express::DEVCTL_FLR != 0
            && self
                .places
                .express
                .is_some_and(|at| self.long(at + express::DEVCAP) & express::DEVCAP_FLR != 0)
    }

    /// Marks bytes as a capability's, none of them writable.
    fn claim(&mut self, offset: u16, size: usize) {
        let range = usize::from(offset)..usize::from(offset) + size;
        self.used[range.clone()].fill(true);
        self.writable[range].fill(0);
    }

    /// The first gap of `size` bytes behind the header.
    fn free_space(&self, size: usize) -> Option<u16> {
        let conventional = &self.used[..usize::from(super::CONVENTIONAL_SIZE)];
        let mut gaps = conventional.windows(size);
        let first = gaps.position(|gap| !gap.contains(&true))?;
        u16::try_from(first).ok()
    }
}
