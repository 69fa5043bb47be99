//! Registers of configuration space and their bits (PCI 3.0 §6, PCIe 5.0 §7).

/// The configuration header (PCI 3.0 §6.1).
pub mod header {
    /// Who made the function.
    pub const VENDOR_ID: u16 = 0x00;
    /// What it is.
    pub const DEVICE_ID: u16 = 0x02;
    /// What it answers and may do.
    pub const COMMAND: u16 = 0x04;
    /// What happened, and that there are capabilities.
    pub const STATUS: u16 = 0x06;
    /// Revision, followed by three bytes of class.
    pub const REVISION_ID: u16 = 0x08;
    /// The register-level interface.
    pub const CLASS_PROG: u16 = 0x09;
    /// Sub-class and base class.
    pub const CLASS_DEVICE: u16 = 0x0a;
    /// The cache line size.
    pub const CACHE_LINE_SIZE: u16 = 0x0c;
    /// The layout of the rest, and whether there are further functions.
    pub const HEADER_TYPE: u16 = 0x0e;
    /// The first bar.
    pub const BAR0: u16 = 0x10;
    /// Who made the board.
    pub const SUBSYSTEM_VENDOR_ID: u16 = 0x2c;
    /// What the board is.
    pub const SUBSYSTEM_ID: u16 = 0x2e;
    /// The expansion ROM's bar.
    pub const ROM_ADDRESS: u16 = 0x30;
    /// Where the list of capabilities begins.
    pub const CAPABILITY_LIST: u16 = 0x34;
    /// The interrupt line, a note of the driver's.
    pub const INTERRUPT_LINE: u16 = 0x3c;
    /// The interrupt pin, 1 for INTA.
    pub const INTERRUPT_PIN: u16 = 0x3d;
    /// The end of the header.
    pub const SIZE: u16 = 0x40;
}

/// Bits of the command register.
pub mod command {
    /// Answers in I/O space.
    pub const IO: u16 = 0x0001;
    /// Answers in memory space.
    pub const MEMORY: u16 = 0x0002;
    /// May access memory and send messages.
    pub const MASTER: u16 = 0x0004;
    /// Reports parity and other errors.
    pub const SERR: u16 = 0x0100;
    /// Does not use its INTx pin.
    pub const INTX_DISABLE: u16 = 0x0400;
}

/// Bits of the status register.
pub mod status {
    /// The INTx pin would be asserted.
    pub const INTERRUPT: u16 = 0x0008;
    /// There is a list of capabilities.
    pub const CAP_LIST: u16 = 0x0010;
    /// Capable of 66 MHz.
    pub const MHZ66: u16 = 0x0020;
    /// Capable of fast back-to-back transactions.
    pub const FAST_BACK: u16 = 0x0080;
}

/// The header of a bridge (PCI-to-PCI Bridge 1.2 §3.2).
pub mod bridge {
    /// The bus the bridge sits on.
    pub const PRIMARY_BUS: u16 = 0x18;
    /// The bus behind it.
    pub const SECONDARY_BUS: u16 = 0x19;
    /// The greatest bus number behind it.
    pub const SUBORDINATE_BUS: u16 = 0x1a;
    /// The window of I/O addresses.
    pub const IO_BASE: u16 = 0x1c;
    /// Its end.
    pub const IO_LIMIT: u16 = 0x1d;
    /// What happened on the secondary bus.
    pub const SECONDARY_STATUS: u16 = 0x1e;
    /// The window of memory.
    pub const MEMORY_BASE: u16 = 0x20;
    /// Its end.
    pub const MEMORY_LIMIT: u16 = 0x22;
    /// The window of prefetchable memory.
    pub const PREF_MEMORY_BASE: u16 = 0x24;
    /// Its end.
    pub const PREF_MEMORY_LIMIT: u16 = 0x26;
    /// The upper half of the base of prefetchable memory.
    pub const PREF_BASE_UPPER32: u16 = 0x28;
    /// The upper half of its end.
    pub const PREF_LIMIT_UPPER32: u16 = 0x2c;
    /// The upper half of the I/O base.
    pub const IO_BASE_UPPER16: u16 = 0x30;
    /// The upper half of its end.
    pub const IO_LIMIT_UPPER16: u16 = 0x32;
    /// The expansion ROM's bar.
    pub const ROM_ADDRESS: u16 = 0x38;
    /// Bridge control.
    pub const CONTROL: u16 = 0x3e;
    /// The latency timer of the secondary bus.
    pub const SECONDARY_LATENCY: u16 = 0x1b;
    /// What of bridge control there is with a PCI Express link on both sides.
    pub const CONTROL_EXPRESS: u16 = 0x005f;
    /// What of bridge control there is with conventional PCI behind.
    pub const CONTROL_CONVENTIONAL: u16 = 0x0bff;
    /// Holds the secondary bus in reset.
    pub const CONTROL_BUS_RESET: u16 = 0x0040;
}

/// Capabilities (PCI Code and ID Assignment 1.11 §2).
pub mod capability {
    /// Power management.
    pub const PM: u8 = 0x01;
    /// Slot identification.
    pub const SLOT_ID: u8 = 0x04;
    /// Message signalled interrupts.
    pub const MSI: u8 = 0x05;
    /// Vendor-specific.
    pub const VENDOR: u8 = 0x09;
    /// The standard hot-plug controller.
    pub const SHPC: u8 = 0x0c;
    /// The subsystem of a bridge.
    pub const SSVID: u8 = 0x0d;
    /// PCI Express.
    pub const EXPRESS: u8 = 0x10;
    /// Message signalled interrupts, extended.
    pub const MSIX: u8 = 0x11;
}

/// Power management (PCI PM 1.2 §3.2).
pub mod pm {
    /// Control and status.
    pub const CONTROL: u16 = 4;
    /// The power state.
    pub const STATE_MASK: u16 = 0x0003;
}

/// The MSI capability (PCI 3.0 §6.8.1).
pub mod msi {
    /// Message control.
    pub const CONTROL: u16 = 2;
    /// The lower half of the message's address.
    pub const ADDRESS: u16 = 4;
    /// The upper half.
    pub const ADDRESS_HIGH: u16 = 8;
    /// The message's data.
    pub const DATA: u16 = 12;
    /// A mask bit per vector.
    pub const MASK: u16 = 16;
    /// A pending bit per vector.
    pub const PENDING: u16 = 20;
    /// Bytes of the capability.
    pub const SIZE: usize = 14;
    /// Bytes of the capability when vectors can be masked.
    pub const SIZE_MASKABLE: usize = 24;
    /// Messages are sent.
    pub const CONTROL_ENABLE: u16 = 0x0001;
    /// How many vectors the guest gave, as a power of two.
    pub const CONTROL_MULTIPLE: u16 = 0x0070;
    /// Addresses have 64 bits.
    pub const CONTROL_64BIT: u16 = 0x0080;
    /// Vectors can be masked.
    pub const CONTROL_MASKABLE: u16 = 0x0100;
}

/// The MSI-X capability (PCI 3.0 §6.8.2).
pub mod msix {
    /// Message control.
    pub const CONTROL: u16 = 2;
    /// Bytes of the capability.
    pub const SIZE: usize = 12;
    /// Bytes of an entry of the table.
    pub const ENTRY_SIZE: u32 = 16;
    /// All vectors are masked.
    pub const CONTROL_MASK_ALL: u16 = 0x4000;
    /// Messages are sent.
    pub const CONTROL_ENABLE: u16 = 0x8000;
}

/// The PCI Express capability (PCIe 5.0 §7.5.3).
pub mod express {
    /// Capability flags.
    pub const FLAGS: u16 = 0x02;
    /// Device capabilities.
    pub const DEVCAP: u16 = 0x04;
    /// Device control.
    pub const DEVCTL: u16 = 0x08;
    /// Device status.
    pub const DEVSTA: u16 = 0x0a;
    /// Link capabilities.
    pub const LNKCAP: u16 = 0x0c;
    /// Link control.
    pub const LNKCTL: u16 = 0x10;
    /// Link status.
    pub const LNKSTA: u16 = 0x12;
    /// Slot capabilities.
    pub const SLTCAP: u16 = 0x14;
    /// Slot control.
    pub const SLTCTL: u16 = 0x18;
    /// Slot status.
    pub const SLTSTA: u16 = 0x1a;
    /// Root control.
    pub const RTCTL: u16 = 0x1c;
    /// Root status.
    pub const RTSTA: u16 = 0x20;
    /// Device capabilities 2.
    pub const DEVCAP2: u16 = 0x24;
    /// Device control 2.
    pub const DEVCTL2: u16 = 0x28;
    /// Link capabilities 2.
    pub const LNKCAP2: u16 = 0x2c;
    /// Link control 2.
    pub const LNKCTL2: u16 = 0x30;
    /// Bytes of the capability.
    pub const SIZE: usize = 0x3c;

    /// The port has a slot.
    pub const FLAGS_SLOT: u16 = 0x0100;
    /// Tags of 8 bits.
    pub const DEVCAP_EXT_TAG: u32 = 0x0000_0020;
    /// Role-based error reporting.
    pub const DEVCAP_RBER: u32 = 0x0000_8000;
    /// The function can be reset by itself.
    pub const DEVCAP_FLR: u32 = 0x1000_0000;
    /// Reports of correctable, non-fatal and fatal errors and of unsupported requests.
    pub const DEVCTL_ERRORS: u16 = 0x000f;
    /// Resets the function.
    pub const DEVCTL_FLR: u16 = 0x8000;
    /// 2.5 GT/s, one lane, active state L0s.
    pub const LINK_X1_2_5GT: u32 = 0x0000_0411;
    /// Speed and width.
    pub const LINK_SPEED_AND_WIDTH: u16 = 0x03ff;
    /// Active state L0s.
    pub const LNKCAP_L0S: u32 = 0x0000_0400;
    /// Whether the data link layer is active is reported.
    pub const LNKCAP_ACTIVE_REPORTING: u32 = 0x0010_0000;
    /// Changes of bandwidth are reported.
    pub const LNKCAP_BANDWIDTH: u32 = 0x0020_0000;
    /// System errors on correctable, non-fatal and fatal errors.
    pub const RTCTL_ERRORS: u16 = 0x0007;
    /// Common clock configuration and extended synch.
    pub const LNKCTL_CLOCKS: u16 = 0x00c0;
    /// The data link layer is active.
    pub const LNKSTA_ACTIVE: u16 = 0x2000;
    /// Alternative routing of ids is forwarded.
    pub const DEVCAP2_ARI: u32 = 0x0000_0020;
    /// Extended format fields and two end-to-end prefixes.
    pub const DEVCAP2_PREFIXES: u32 = 0x0030_0000;
    /// Alternative routing of ids is on.
    pub const DEVCTL2_ARI: u16 = 0x0020;
    /// End-to-end prefixes are blocked.
    pub const DEVCTL2_PREFIX_BLOCKING: u16 = 0x8000;
}

/// The registers of a slot (PCIe 5.0 §7.5.3.9 to §7.5.3.11).
pub mod slot {
    /// An attention button.
    pub const CAP_ATTENTION_BUTTON: u32 = 0x0000_0001;
    /// A power controller.
    pub const CAP_POWER_CONTROLLER: u32 = 0x0000_0002;
    /// An attention indicator.
    pub const CAP_ATTENTION_INDICATOR: u32 = 0x0000_0008;
    /// A power indicator.
    pub const CAP_POWER_INDICATOR: u32 = 0x0000_0010;
    /// Devices may be pulled out without notice.
    pub const CAP_SURPRISE: u32 = 0x0000_0020;
    /// Hot-plug is possible.
    pub const CAP_HOTPLUG: u32 = 0x0000_0040;
    /// An electromechanical interlock.
    pub const CAP_INTERLOCK: u32 = 0x0002_0000;
    /// Where the slot's number begins.
    pub const CAP_NUMBER_SHIFT: u32 = 19;

    /// Hot-plug interrupts are on.
    pub const CTL_INTERRUPT: u16 = 0x0020;
    /// Both bits of the attention indicator; all set means off.
    pub const CTL_ATTENTION_INDICATOR: u16 = 0x00c0;
    /// Both bits of the power indicator; all set means off.
    pub const CTL_POWER_INDICATOR: u16 = 0x0300;
    /// The power indicator blinks.
    pub const CTL_POWER_BLINK: u16 = 0x0200;
    /// The power controller is off.
    pub const CTL_POWER_OFF: u16 = 0x0400;
    /// Turns the interlock over.
    pub const CTL_INTERLOCK: u16 = 0x0800;

    /// The attention button has been pressed.
    pub const STA_ATTENTION: u16 = 0x0001;
    /// Presence has changed.
    pub const STA_PRESENCE_CHANGED: u16 = 0x0008;
    /// A command has been carried out.
    pub const STA_COMMAND_COMPLETED: u16 = 0x0010;
    /// Something is in the slot.
    pub const STA_PRESENT: u16 = 0x0040;
    /// The state of the interlock.
    pub const STA_INTERLOCK: u16 = 0x0080;
    /// Power faults and retention latches, which never happen.
    pub const STA_NEVER: u16 = 0x0006;
    /// What interrupts; the bits that let it are at the same places in the control register.
    pub const STA_EVENTS: u16 = STA_ATTENTION | STA_PRESENCE_CHANGED | STA_COMMAND_COMPLETED;
}

/// Extended capabilities.
pub mod extended {
    /// Advanced error reporting.
    pub const AER: u16 = 0x0001;
    /// Access control services.
    pub const ACS: u16 = 0x000d;
}

/// Advanced error reporting (PCIe 5.0 §7.8.4).
pub mod aer {
    /// Which uncorrectable errors are not reported.
    pub const UNCORRECTABLE_MASK: u16 = 0x08;
    /// Which uncorrectable errors are fatal.
    pub const UNCORRECTABLE_SEVERITY: u16 = 0x0c;
    /// Which correctable errors are not reported.
    pub const CORRECTABLE_MASK: u16 = 0x14;
    /// Abilities, and what is on.
    pub const CONTROL: u16 = 0x18;
    /// Which errors the root port reports.
    pub const ROOT_COMMAND: u16 = 0x2c;
    /// Bytes of the capability.
    pub const SIZE: usize = 0x48;
    /// The uncorrectable errors there are.
    pub const UNCORRECTABLE: u32 = 0x03ff_f030;
    /// The correctable errors there are.
    pub const CORRECTABLE: u32 = 0x0000_f1c1;
    /// Checksums can be made and checked.
    pub const CONTROL_CHECKSUMS_ABLE: u32 = 0x00a0;
    /// More than one error can be logged.
    pub const CONTROL_MANY_ABLE: u32 = 0x0200;
    /// Reports of all three kinds of errors.
    pub const ROOT_REPORTS: u32 = 0x0007;
}

/// Access control services (PCIe 5.0 §7.7.8).
pub mod acs {
    /// What there is.
    pub const CAPABILITIES: u16 = 0x04;
    /// What is on.
    pub const CONTROL: u16 = 0x06;
    /// Bytes of the capability.
    pub const SIZE: usize = 0x08;
    /// All that a root port can do.
    pub const ROOT_PORT: u16 = 0x005f;
}
