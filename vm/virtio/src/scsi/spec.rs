//! Numbers of the SCSI host device (virtio 1.2 §5.6).

/// Feature bits.
pub mod feature {
    /// Units that come and go are told through the event queue.
    pub const HOTPLUG: u64 = 1 << 1;
    /// Changed parameters of units are told through the event queue.
    pub const CHANGE: u64 = 1 << 2;
}

/// Bytes of a command before the CDB.
pub const COMMAND_HEADER: u64 = 19;
/// Bytes of a response before the sense data.
pub const RESPONSE_HEADER: usize = 12;
/// Bytes of a CDB, unless the driver says otherwise.
pub const CDB_SIZE: u32 = 32;
/// Bytes for sense data, unless the driver says otherwise.
pub const SENSE_SIZE: u32 = 96;
/// The most either may be set to.
pub const SIZE_MAX: u32 = 256;
/// Bytes of an event.
pub const EVENT_SIZE: u32 = 16;
/// The highest target.
pub const TARGET_MAX: u16 = 255;
/// The highest unit of a target.
pub const LUN_MAX: u16 = 16383;

/// Where the two sizes that a driver sets are in the configuration space.
pub mod config {
    /// Bytes for sense data.
    pub const SENSE_SIZE: usize = 20;
    /// Bytes of a CDB.
    pub const CDB_SIZE: usize = 24;
}

/// How a request fared before a unit saw it.
pub mod response {
    /// The unit has answered.
    pub const OK: u8 = 0;
    /// The buffers are too small for the data.
    pub const OVERRUN: u8 = 1;
    /// A task management function has ended it.
    pub const ABORTED: u8 = 2;
    /// There is no such target.
    pub const BAD_TARGET: u8 = 3;
    /// A reset has ended it.
    pub const RESET: u8 = 4;
    /// The host failed.
    pub const FAILURE: u8 = 9;
    /// What was asked for was found.
    pub const FUNCTION_SUCCEEDED: u8 = 10;
    /// There is no such function.
    pub const FUNCTION_REJECTED: u8 = 11;
    /// There is no such unit.
    pub const INCORRECT_LUN: u8 = 12;
}

/// Requests of the control queue.
pub mod control {
    /// Task management.
    pub const TMF: u32 = 0;
    /// Which asynchronous notifications are there?
    pub const AN_QUERY: u32 = 1;
    /// Subscribe to some.
    pub const AN_SUBSCRIBE: u32 = 2;

    /// End one command.
    pub const ABORT_TASK: u32 = 0;
    /// End the commands of a unit.
    pub const ABORT_TASK_SET: u32 = 1;
    /// There is no ACA to clear.
    pub const CLEAR_ACA: u32 = 2;
    /// End the commands of a unit, whoever sent them.
    pub const CLEAR_TASK_SET: u32 = 3;
    /// Reset a target.
    pub const I_T_NEXUS_RESET: u32 = 4;
    /// Reset a unit.
    pub const LOGICAL_UNIT_RESET: u32 = 5;
    /// Is a command under way?
    pub const QUERY_TASK: u32 = 6;
    /// Is any command of a unit under way?
    pub const QUERY_TASK_SET: u32 = 7;
}

/// Events.
pub mod event {
    /// Nothing but a sign that some were lost.
    pub const NO_EVENT: u32 = 0;
    /// A unit came or went.
    pub const TRANSPORT_RESET: u32 = 1;
    /// A unit is not what it was.
    pub const PARAM_CHANGE: u32 = 3;
    /// Some events before this one were lost.
    pub const MISSED: u32 = 1 << 31;

    /// Why: it came.
    pub const RESCAN: u32 = 1;
    /// Why: it went.
    pub const REMOVED: u32 = 2;
}

/// SCSI status codes (SAM-5).
pub mod status {
    /// Done.
    pub const GOOD: u8 = 0;
    /// Not done; the sense data say why.
    pub const CHECK_CONDITION: u8 = 2;
}
