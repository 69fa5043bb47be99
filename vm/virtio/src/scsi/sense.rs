//! Why a command failed (SPC-4 §4.5).

/// Sense key, additional code and its qualifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// The kind of trouble.
    pub key: u8,
    /// The trouble.
    pub code: u8,
    /// The trouble, more closely.
    pub qualifier: u8,
}

const fn sense(key: u8, code: u8, qualifier: u8) -> Sense {
    Sense {
        key,
        code,
        qualifier,
    }
}

#[expect(missing_docs, reason = "SPC's own names")]
impl Sense {
    pub const NONE: Self = sense(0, 0, 0);
    pub const MEDIUM_NOT_PRESENT: Self = sense(2, 0x3a, 0);
    pub const REMOVAL_PREVENTED_NOT_READY: Self = sense(2, 0x53, 2);
    pub const TARGET_FAILURE: Self = sense(4, 0x44, 0);
    pub const PARAMETER_LIST_LENGTH: Self = sense(5, 0x1a, 0);
    pub const INVALID_OPCODE: Self = sense(5, 0x20, 0);
    pub const LBA_OUT_OF_RANGE: Self = sense(5, 0x21, 0);
    pub const INVALID_FIELD: Self = sense(5, 0x24, 0);
    pub const LUN_NOT_SUPPORTED: Self = sense(5, 0x25, 0);
    pub const INVALID_PARAMETER: Self = sense(5, 0x26, 0);
    pub const INCOMPATIBLE_FORMAT: Self = sense(5, 0x30, 0);
    pub const SAVING_NOT_SUPPORTED: Self = sense(5, 0x39, 0);
    pub const REMOVAL_PREVENTED: Self = sense(5, 0x53, 2);
    pub const MEDIUM_CHANGED: Self = sense(6, 0x28, 0);
    pub const RESET: Self = sense(6, 0x29, 0);
    pub const CAPACITY_CHANGED: Self = sense(6, 0x2a, 9);
    pub const MEDIUM_GONE: Self = sense(6, 0x3a, 0);
    pub const LUNS_CHANGED: Self = sense(6, 0x3f, 0x0e);
    pub const WRITE_PROTECTED: Self = sense(7, 0x27, 0);
    pub const SPACE_ALLOCATION: Self = sense(7, 0x27, 7);
    pub const IO_ERROR: Self = sense(0xb, 0, 6);
}

impl Sense {
    /// The fixed format.
    #[must_use]
    pub fn fixed(self) -> [u8; 18] {
        let mut bytes = [0; 18];
        (bytes[0], bytes[2], bytes[7]) = (0x70, self.key, 10);
        (bytes[12], bytes[13]) = (self.code, self.qualifier);
        bytes
    }

    /// The descriptor format, without descriptors.
    #[must_use]
    pub fn descriptor(self) -> [u8; 8] {
        [0x72, self.key, self.code, self.qualifier, 0, 0, 0, 0]
    }

    /// Which of two unit attentions is told: the lower.
    pub(super) fn precedence(self) -> u16 {
        u16::from_be_bytes([self.code, self.qualifier])
    }
}
