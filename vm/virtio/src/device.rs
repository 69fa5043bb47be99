//! What a device is to the transports.

use crate::spec::DeviceType;

/// A virtio device without its transport.
///
/// A device is made with a [`Port`](crate::Port), its way to queues, interrupts and the rest of
/// the world, and keeps its state behind its own small locks.
///
/// | called | on |
/// |---|---|
/// | `kick` | the device thread, while the machine runs and the driver is ready |
/// | everything else | the thread that accesses the registers: a hart, or the main loop |
///
/// `kick`, `driver_ok`, `queue_reset` and `reset` of one device never run at the same time, so
/// none of them may wait for another thread that does one of these things. Work that takes time
/// is spawned with [`Port::spawn`](crate::Port::spawn).
pub trait VirtioDevice: Send + Sync {
    /// The kind of device.
    fn device_type(&self) -> DeviceType;

    /// The device's own feature bits; those of rings and transports are added to them.
    fn features(&self) -> u64 {
        0
    }

    /// Those among them that a driver must choose before it may begin.
    fn required_features(&self) -> u64 {
        0
    }

    /// How many queues there are, and how many descriptors each has at first. Asked once.
    fn queue_sizes(&self) -> Vec<u16>;

    /// The whole configuration space, as the driver would read it now.
    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The driver wrote `bytes` at `offset`. They are inside what [`config`](Self::config)
    /// returns.
    fn write_config(&self, offset: usize, bytes: &[u8]) {
        let _ = (offset, bytes);
    }

    /// The driver has chosen these features, which are among those offered. False refuses them.
    fn set_features(&self, features: u64) -> bool {
        let _ = features;
        true
    }

    /// The driver is ready.
    fn driver_ok(&self) {}

    /// Work on `queue`: the driver has added buffers, or someone called
    /// [`Port::wake`](crate::Port::wake).
    ///
    /// Take chains with [`Port::pop`](crate::Port::pop) until there is none or the device cannot
    /// go on. In the latter case whoever makes it able to calls `wake`.
    fn kick(&self, queue: usize);

    /// One queue is reset (virtio 1.2 §2.6.1): forget the chains taken from it.
    fn queue_reset(&self, queue: usize) {
        let _ = queue;
    }

    /// Everything is as at power-on. Chains that were taken can no longer be written to or
    /// returned; work under way may go on and will be ignored.
    fn reset(&self) {}
}
