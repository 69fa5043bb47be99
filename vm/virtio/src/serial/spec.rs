//! Numbers of the console device (virtio 1.2 §5.3).

/// Feature bits, as masks.
pub mod feature {
    /// There are control queues, and ports beyond the first.
    pub const MULTIPORT: u64 = 1 << 1;
    /// A byte can be written through the configuration space.
    pub const EMERG_WRITE: u64 = 1 << 2;
}

/// Control messages (virtio 1.2 §5.3.6.2).
pub(super) mod event {
    pub(crate) const DEVICE_READY: u16 = 0;
    pub(crate) const DEVICE_ADD: u16 = 1;
    pub(crate) const DEVICE_REMOVE: u16 = 2;
    pub(crate) const PORT_READY: u16 = 3;
    pub(crate) const CONSOLE_PORT: u16 = 4;
    pub(crate) const PORT_OPEN: u16 = 6;
    pub(crate) const PORT_NAME: u16 = 7;
}

/// The control queue to the guest.
pub(super) const CONTROL_IN: usize = 2;
/// The control queue from the guest.
pub(super) const CONTROL_OUT: usize = 3;

/// Descriptors in a port's queues.
pub(super) const QUEUE_SIZE: u16 = 128;
/// Descriptors in the control queues.
pub(super) const CONTROL_QUEUE_SIZE: u16 = 32;

/// Offset of the emergency byte in the configuration space.
pub(super) const EMERGENCY: usize = 8;

/// The most ports a device can have.
pub const PORTS_MAX: u32 = 511;

/// The queue through which a port's bytes go to the guest; the next is for the other way.
pub(super) fn input_queue(port: u32) -> usize {
    // The control queues come between the first port and the others.
    match port as usize {
        0 => 0,
        port => 2 * port + 2,
    }
}

/// The port that a queue belongs to, and whether it goes to the guest.
pub(super) fn port_of(queue: usize) -> (u32, bool) {
    let pair = (queue / 2) as u32;
    (
        pair.saturating_sub(u32::from(pair > 0)),
        queue.is_multiple_of(2),
    )
}
