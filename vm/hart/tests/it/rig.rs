//! A hart, a megabyte of RAM and a way out: what the tests run guest code on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tinamou_hart::{
    Config, Environment, Exit, Firmware, Hart, HartControl, InterruptFile, Isa, Privilege, Start,
    SystemReset,
};
use tinamou_memory::{AddressSpace, Mmio, Ram, Region};

/// Where RAM begins.
pub const RAM: u64 = 0x8000_0000;
/// How much there is.
pub const SIZE: u64 = 16 << 20;
/// A store here pauses all harts.
pub const EXIT: u64 = 0x10_0000;

/// An environment with a clock that tests turn by hand.
#[derive(Default)]
pub struct World {
    pub time: AtomicU64,
    pub output: Mutex<Vec<u8>>,
    pub resets: Mutex<Vec<SystemReset>>,
    pub harts: OnceLock<Vec<Arc<HartControl>>>,
    /// The interrupt file of supervisor mode.
    pub file: OnceLock<Box<dyn InterruptFile>>,
}

impl Environment for World {
    fn time(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    fn harts(&self) -> &[Arc<HartControl>] {
        self.harts.get().map_or(&[], Vec::as_slice)
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        self.output.lock().unwrap().extend_from_slice(bytes);
        bytes.len()
    }

    fn console_read(&self) -> Option<u8> {
        None
    }

    fn interrupt_file(&self, _: u64, level: Privilege) -> Option<&dyn InterruptFile> {
        let file = self.file.get().filter(|_| level == Privilege::Supervisor)?;
        Some(&**file)
    }

    fn system_reset(&self, reset: SystemReset) {
        self.resets.lock().unwrap().push(reset);
        self.pause();
    }
}

impl World {
    pub fn pause(&self) {
        self.harts().iter().for_each(|control| control.pause());
    }
}

struct ExitDevice(Arc<World>);

impl Mmio for ExitDevice {
    fn read(&self, _: u64, _: u8) -> u64 {
        0
    }

    fn write(&self, _: u64, _: u8, _: u64) {
        self.0.pause();
    }
}

/// Harts on shared memory.
pub struct Rig {
    pub world: Arc<World>,
    pub ram: Arc<Ram>,
    pub space: Arc<AddressSpace>,
    pub harts: Vec<Hart>,
}

impl Rig {
    pub fn new(isa: Isa, firmware: Firmware, count: u64) -> Self {
        let world = Arc::new(World::default());
        let ram = Arc::new(Ram::new(SIZE).unwrap());
        let space = Arc::new(AddressSpace::new("memory"));
        space.add(Region::ram("ram", RAM, ram.clone())).unwrap();
        space
            .add(Region::mmio(
                "exit",
                EXIT,
                0x1000,
                Arc::new(ExitDevice(world.clone())),
            ))
            .unwrap();
        let controls: Vec<_> = (0..count)
            .map(|id| Arc::new(HartControl::new(id)))
            .collect();
        world.harts.set(controls.clone()).unwrap();
        let hart = |control| {
            let config = Config { isa, firmware };
            let mut hart = Hart::new(config, control, space.clone(), world.clone());
            hart.reset(Start::Machine { pc: RAM });
            hart
        };
        let harts = controls.into_iter().map(hart).collect();
        Self {
            world,
            ram,
            space,
            harts,
        }
    }

    /// One hart with everything, firmware being the guest's.
    pub fn single() -> Self {
        Self::new(Isa::default(), Firmware::Guest, 1)
    }

    pub fn hart(&mut self) -> &mut Hart {
        &mut self.harts[0]
    }

    /// Puts instructions at an address.
    pub fn load(&self, address: u64, code: &[u32]) {
        for (i, word) in code.iter().enumerate() {
            self.ram
                .store(address - RAM + i as u64 * 4, 4, (*word).into())
                .unwrap();
        }
    }

    /// Runs until the guest stores to [`EXIT`].
    pub fn run(&mut self) {
        assert_eq!(self.hart().run(), Exit::Paused);
    }

    pub fn x(&self, index: u8) -> u64 {
        self.harts[0].state().registers.x(index)
    }
}
