//! The least board the program needs, at the addresses of the `virt` board.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tinamou_hart::{Config, Environment, Firmware, Hart, HartControl, Isa, Start, SystemReset};
use tinamou_memory::{AddressSpace, Mmio, Ram, Region};

const RAM: u64 = 0x8000_0000;
const CLINT: u64 = 0x200_0000;
const FINISHER: u64 = 0x10_0000;
const UART: u64 = 0x1000_0000;

/// Runs a flat binary until it writes to the finisher, and gives what it printed.
pub fn run(binary: &[u8]) -> super::Result<String> {
    let board = Arc::new(Board::new());
    let control = Arc::new(HartControl::new(0));
    board.harts.get_or_init(|| vec![control.clone()]);
    let ram = Arc::new(Ram::new(64 << 20)?);
    ram.write(0, binary)?;
    let space = Arc::new(AddressSpace::new("memory"));
    space.add(Region::ram("ram", RAM, ram))?;
    space.add(Region::mmio(
        "uart",
        UART,
        0x100,
        Arc::new(Uart(board.clone())),
    ))?;
    space.add(Region::mmio(
        "finisher",
        FINISHER,
        0x1000,
        Arc::new(Finisher(board.clone())),
    ))?;
    space.add(Region::mmio(
        "clint",
        CLINT,
        0x1_0000,
        Arc::new(Clint(board.clone())),
    ))?;
    let config = Config {
        isa: Isa::default(),
        firmware: Firmware::Guest,
    };
    let mut hart = Hart::new(config, control, space, board.clone());
    hart.reset(Start::Machine { pc: RAM });
    hart.run();
    let output = board.output.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(String::from_utf8_lossy(&output).into_owned())
}

struct Board {
    started: Instant,
    harts: OnceLock<Vec<Arc<HartControl>>>,
    output: Mutex<Vec<u8>>,
}

impl Board {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            harts: OnceLock::new(),
            output: Mutex::default(),
        }
    }
}

impl Environment for Board {
    fn time(&self) -> u64 {
        (self.started.elapsed().as_nanos() / 100) as u64
    }

    fn harts(&self) -> &[Arc<HartControl>] {
        self.harts.get().map_or(&[], Vec::as_slice)
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.extend_from_slice(bytes);
        bytes.len()
    }

    fn console_read(&self) -> Option<u8> {
        None
    }

    fn system_reset(&self, _: SystemReset) {
        self.harts().iter().for_each(|hart| hart.pause());
    }
}

struct Uart(Arc<Board>);

impl Mmio for Uart {
    fn read(&self, _: u64, _: u8) -> u64 {
        0
    }

    fn write(&self, offset: u64, _: u8, value: u64) {
        if offset == 0 {
            self.0.console_write(&[value as u8]);
        }
    }
}

struct Finisher(Arc<Board>);

impl Mmio for Finisher {
    fn read(&self, _: u64, _: u8) -> u64 {
        0
    }

    fn write(&self, _: u64, _: u8, _: u64) {
        self.0
            .system_reset(SystemReset::Shutdown { failure: false });
    }
}

struct Clint(Arc<Board>);

impl Mmio for Clint {
    fn read(&self, offset: u64, _: u8) -> u64 {
        const MTIME: u64 = 0xbff8;
        if offset == MTIME { self.0.time() } else { 0 }
    }

    fn write(&self, _: u64, _: u8, _: u64) {}
}
