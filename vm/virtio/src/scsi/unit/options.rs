//! What a unit is made to be.

/// The place of a unit on its bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The target.
    pub target: u8,
    /// The unit of the target.
    pub lun: u16,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A disk.
    Disk,
    /// A CD or DVD drive.
    Cd,
}

/// What a unit is made to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it is.
    pub address: Address,
    /// What it is.
    pub kind: Kind,
    /// Bytes of a block as the guest sees it; those of a CD have 2048.
    pub logical_block: u32,
    /// Bytes of a block as the disk has it.
    pub physical_block: u32,
    /// Bytes that are well moved at once, at least.
    pub min_io: u32,
    /// Bytes that are best moved at once.
    pub opt_io: u32,
    /// Bytes of the longest transfer.
    pub max_io: u64,
    /// Bytes of the longest range to unmap.
    pub max_unmap: u64,
    /// Unit of what can be unmapped.
    pub discard_granularity: u32,
    /// Its serial number, if it has one.
    pub serial: Option<String>,
    /// Who made it.
    pub vendor: String,
    /// What it is called.
    pub product: String,
    /// Its revision.
    pub version: String,
    /// What tells it apart, if anything does.
    pub device_id: Option<String>,
    /// Its world wide name, or 0.
    pub wwn: u64,
    /// Its port's, or 0.
    pub port_wwn: u64,
    /// Its port, or 0.
    pub port_index: u16,
    /// A disk whose medium can be taken out.
    pub removable: bool,
    /// Writes can be made to bypass the cache.
    pub dpofua: bool,
    /// Turns per minute; 1 for none.
    pub rotation_rate: u16,
    /// The version of SPC.
    pub scsi_version: u8,
    /// Cylinders, heads and sectors.
    pub geometry: (u32, u32, u32),
}

impl Options {
    /// A unit with QEMU's defaults.
    #[must_use]
    pub fn new(kind: Kind, address: Address) -> Self {
        let product = match kind {
            Kind::Disk => "QEMU HARDDISK",
            Kind::Cd => "QEMU CD-ROM",
        };
        Self {
            address,
            kind,
            logical_block: 512,
            physical_block: 512,
            min_io: 0,
            opt_io: 0,
            max_io: i32::MAX as u64,
            max_unmap: 1 << 30,
            discard_granularity: 4096,
            serial: None,
            vendor: "QEMU".to_owned(),
            product: product.to_owned(),
            version: "2.5+".to_owned(),
            device_id: None,
            wwn: 0,
            port_wwn: 0,
            port_index: 0,
            removable: false,
            dpofua: false,
            rotation_rate: 0,
            scsi_version: 5,
            geometry: (0, 0, 0),
        }
    }

    pub(super) fn block(&self) -> u32 {
        match self.kind {
            Kind::Disk => self.logical_block.max(1),
            Kind::Cd => 2048,
        }
    }

    pub(super) fn has_tray(&self) -> bool {
        self.removable || self.kind == Kind::Cd
    }

    /// Cylinders, heads and sectors, as a disk of that size would have had them.
    pub(super) fn geometry(&self, size: u64) -> (u32, u8, u8) {
        let (cylinders, heads, sectors) = self.geometry;
        if cylinders != 0 {
            return (cylinders, heads as u8, sectors as u8);
        }
        let guess = (size / 512 / (16 * 63)).clamp(2, 16_383);
        (guess as u32, 16, 63)
    }
}
