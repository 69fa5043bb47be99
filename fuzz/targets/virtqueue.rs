//! Virtqueues: whatever a driver writes to the registers and to memory, and whenever it resets,
//! nothing panics, nothing hangs, and after a reset an honest driver is served.
//!
//! The first byte chooses features; then come operations of an opcode and seven bytes.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tinamou_devices::IrqLine;
use tinamou_memory::Mmio;
use tinamou_virtio::driver::{Guest, RAM_BASE, Ring};
use tinamou_virtio::mmio::VirtioMmio;
use tinamou_virtio::{Chain, DeviceType, Port, RingOptions, Virtio, VirtioDevice, feature};

/// Descriptors in each ring.
const SIZE: u16 = 8;

/// A device with two queues that copies what it reads into what it fills. On the second queue it
/// keeps each chain until the next one comes.
pub struct Echo {
    port: Port,
    kept: Mutex<Option<Chain>>,
}

impl Echo {
    /// Queue 0 answers at once, queue 1 one chain late.
    pub fn new(port: Port) -> Arc<Self> {
        Arc::new(Self {
            port,
            kept: Mutex::default(),
        })
    }

    fn answer(&self, chain: Chain) {
        let queue = chain.queue();
        let mut bytes = [0; 256];
        let count = chain.reader().read(&mut bytes).unwrap_or(0);
        let written = chain.writer().write(&bytes[..count]).unwrap_or(0);
        self.port.push(chain, written as u32);
        self.port.notify(queue);
    }
}

impl VirtioDevice for Echo {
    fn device_type(&self) -> DeviceType {
        DeviceType::Console
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![64, 64]
    }

    fn kick(&self, queue: usize) {
        while let Some(chain) = self.port.pop(queue) {
            let chain = match queue {
                0 => Some(chain),
                _ => {
                    let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.replace(chain)
                }
            };
            if let Some(chain) = chain {
                self.answer(chain);
            }
        }
    }
}

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let Some((&control, input)) = input.split_first() else {
        return;
    };
    let guest = Guest::new();
    let slot = VirtioMmio::new(IrqLine::unconnected(), control & 1 != 0);
    let rings = RingOptions {
        packed: true,
        in_order: true,
        ..RingOptions::default()
    };
    let device = Virtio::new(guest.site.clone(), &rings, slot.features(), Echo::new);
    assert!(slot.plug(Arc::clone(&device)));
    let features = [
        feature::RING_EVENT_IDX,
        feature::RING_PACKED,
        feature::IN_ORDER,
    ];
    let chosen = (0..)
        .zip(features)
        .filter(|(bit, _)| control >> (bit + 1) & 1 != 0);
    let features = chosen.fold(0, |features, (_, feature)| features | feature);
    let mut ring = begin(&guest, &device, features);
    for operation in input.as_chunks::<8>().0 {
        carry_out(operation, &guest, &slot, &mut ring);
    }
    device.process();
    serve_an_honest_driver(&guest, &device, features);
}

/// Negotiates and sets up both queues on the same ring, which is one more thing to bear.
fn begin(guest: &Guest, device: &Virtio, features: u64) -> Ring {
    guest.negotiate(device, features);
    let ring = if device.features() & feature::RING_PACKED == 0 {
        Ring::split(guest, SIZE)
    } else {
        Ring::packed(guest, SIZE)
    };
    ring.enable(device, 0);
    ring.enable(device, 1);
    guest.start(device, features);
    ring
}

fn carry_out(operation: &[u8; 8], guest: &Guest, slot: &VirtioMmio, ring: &mut Ring) {
    let &[code, a, b, c, d, e, f, g] = operation;
    let value = u32::from_le_bytes([d, e, f, g]);
    let areas = [ring.descriptors, ring.driver, ring.device, RAM_BASE];
    let place = areas[usize::from(c & 3)] + u64::from(u16::from_le_bytes([a, b]) % 512);
    let device = slot.device().expect("it was plugged in");
    match code % 8 {
        0 => drop(guest.memory().store(place, 1 << (c >> 2 & 3), value.into())),
        1 => slot.write(u64::from(a) * 4, 4, value.into()),
        2 => drop(slot.read(u64::from(a) * 4, 1 << (b & 3))),
        3 => device.kick(usize::from(a & 3)),
        4 => drop(device.process()),
        5 => device.reset_queue(usize::from(a & 3)),
        6 => drop(ring.add(guest, &[&operation[1..]], &[u32::from(a), u32::from(b)])),
        _ => drop(ring.add_indirect(guest, &[&operation[1..]], &[u32::from(a)])),
    }
}

/// After a reset, a request is answered.
fn serve_an_honest_driver(guest: &Guest, device: &Virtio, features: u64) {
    device.reset();
    assert!(!device.is_broken());
    let mut ring = begin(guest, device, features);
    let head = ring.add(guest, &[b"honest"], &[6]);
    device.kick(0);
    assert!(device.process());
    assert_eq!(ring.used(guest), Some((head, 6)));
    assert_eq!(ring.filled(guest, head), b"honest");
}
