//! Numbers of virtio 1.2 §5.7.

use tinamou_display::Format;

/// Commands that draw.
pub const CONTROL: usize = 0;
/// How many descriptors the queues have: that one, and the one for the cursor.
pub const QUEUE_SIZES: [u16; 2] = [64, 16];

/// The most screens.
pub const SCANOUTS_MAX: u32 = 16;

/// Feature: the device tells what its screens can do.
pub const F_EDID: u64 = 1 << 1;

/// The answer carries the command's fence.
pub const FLAG_FENCE: u32 = 1;

/// Commands.
pub mod command {
    pub const DISPLAY_INFO: u32 = 0x100;
    pub const RESOURCE_CREATE_2D: u32 = 0x101;
    pub const RESOURCE_UNREF: u32 = 0x102;
    pub const SET_SCANOUT: u32 = 0x103;
    pub const RESOURCE_FLUSH: u32 = 0x104;
    pub const TRANSFER_TO_HOST_2D: u32 = 0x105;
    pub const RESOURCE_ATTACH_BACKING: u32 = 0x106;
    pub const RESOURCE_DETACH_BACKING: u32 = 0x107;
    pub const GET_EDID: u32 = 0x10a;
}

/// Answers.
pub mod answer {
    pub const NO_DATA: u32 = 0x1100;
    pub const DISPLAY_INFO: u32 = 0x1101;
    pub const EDID: u32 = 0x1104;
}

/// Why a command fails, as the driver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Fault {
    Unspecified = 0x1200,
    OutOfMemory = 0x1201,
    ScanoutId = 0x1202,
    ResourceId = 0x1203,
    Parameter = 0x1205,
}

/// Pixel formats by number.
pub fn format(number: u32) -> Option<Format> {
    match number {
        1 | 2 => Some(Format::Bgrx),
        3 | 4 => Some(Format::Xrgb),
        67 | 134 => Some(Format::Rgbx),
        68 | 121 => Some(Format::Xbgr),
        _ => None,
    }
}
