//! Numbers of virtio 1.2 §5.8 and of Linux's input events, which it takes over.

/// Where the driver finds what.
pub const EVENTS: usize = 0;
/// Where the driver says what lights up.
pub const STATUS: usize = 1;
/// How many descriptors each queue has.
pub const QUEUE_SIZE: u16 = 64;

/// Where the payload begins in the configuration space.
pub const PAYLOAD: usize = 8;
/// The longest payload.
pub const PAYLOAD_MAX: usize = 128;

/// What can be selected in the configuration space.
pub mod select {
    /// The device's name.
    pub const NAME: u8 = 0x01;
    /// Its serial number.
    pub const SERIAL: u8 = 0x02;
    /// Bus, vendor, product and version.
    pub const IDS: u8 = 0x03;
    /// `INPUT_PROP_*`
    pub const PROPERTIES: u8 = 0x10;
    /// Codes of an event type.
    pub const CODES: u8 = 0x11;
    /// The range of an absolute axis.
    pub const RANGE: u8 = 0x12;
}

/// Event types.
pub mod ev {
    /// What came before belongs together.
    pub const SYN: u16 = 0x00;
    /// Keys and buttons.
    pub const KEY: u16 = 0x01;
    /// Relative axes.
    pub const REL: u16 = 0x02;
    /// Absolute axes.
    pub const ABS: u16 = 0x03;
    /// Lights.
    pub const LED: u16 = 0x11;
    /// Keys repeat.
    pub const REP: u16 = 0x14;
}

/// Buttons.
pub mod btn {
    pub const LEFT: u16 = 0x110;
    pub const RIGHT: u16 = 0x111;
    pub const MIDDLE: u16 = 0x112;
    pub const SIDE: u16 = 0x113;
    pub const EXTRA: u16 = 0x114;
    pub const TOUCH: u16 = 0x14a;
    pub const GEAR_DOWN: u16 = 0x150;
    pub const GEAR_UP: u16 = 0x151;
}

/// Relative axes.
pub mod rel {
    pub const X: u16 = 0;
    pub const Y: u16 = 1;
    pub const WHEEL: u16 = 8;
}

/// Absolute axes.
pub mod abs {
    pub const X: u16 = 0;
    pub const Y: u16 = 1;
    pub const MT_SLOT: u16 = 0x2f;
    pub const MT_POSITION_X: u16 = 0x35;
    pub const MT_POSITION_Y: u16 = 0x36;
    pub const MT_TRACKING_ID: u16 = 0x39;
}

/// `INPUT_PROP_DIRECT`: one touches what one sees.
pub const PROPERTY_DIRECT: u16 = 1;

/// The last place of an absolute axis.
pub const ABS_MAX: u32 = 0x7fff;
/// The most fingers.
pub const SLOTS_MAX: u32 = 10;

/// `BUS_VIRTUAL`
pub const BUS_VIRTUAL: u16 = 6;
/// QEMU's vendor id.
pub const VENDOR: u16 = 0x0627;
