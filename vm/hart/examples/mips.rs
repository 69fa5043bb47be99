//! Runs a flat machine-mode binary at 0x80000000 and says how fast: `mips FILE`.
//!
//! The binary finds a 16550's transmit register at 0x10000000, mtime at 0x200bff8 and the test
//! finisher at 0x100000, where QEMU's `virt` board has them, so that both run the same file.

use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tinamou_hart::{Config, Environment, Firmware, Hart, HartControl, Isa, Start, SystemReset};
use tinamou_memory::{AddressSpace, Mmio, Ram, Region};

const RAM: u64 = 0x8000_0000;

struct Board {
    started: Instant,
    harts: OnceLock<Vec<Arc<HartControl>>>,
}

impl Environment for Board {
    fn time(&self) -> u64 {
        (self.started.elapsed().as_nanos() / 100) as u64
    }

    fn harts(&self) -> &[Arc<HartControl>] {
        self.harts.get().map_or(&[], Vec::as_slice)
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        // A console that cannot be written to is one that nobody reads.
        let _ = std::io::stdout().write_all(bytes);
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
    fn read(&self, offset: u64, _: u8) -> u64 {
        if offset == 5 { 0x60 } else { 0 }
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
        if offset == 0xbff8 { self.0.time() } else { 0 }
    }

    fn write(&self, _: u64, _: u8, _: u64) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: mips FILE")?;
    let board = Arc::new(Board {
        started: Instant::now(),
        harts: OnceLock::new(),
    });
    let control = Arc::new(HartControl::new(0));
    board.harts.get_or_init(|| vec![control.clone()]);
    let ram = Arc::new(Ram::new(64 << 20)?);
    ram.write(0, &std::fs::read(path)?)?;
    let space = Arc::new(AddressSpace::new("memory"));
    space.add(Region::ram("ram", RAM, ram))?;
    space.add(Region::mmio(
        "uart",
        0x1000_0000,
        0x100,
        Arc::new(Uart(board.clone())),
    ))?;
    space.add(Region::mmio(
        "finisher",
        0x10_0000,
        0x1000,
        Arc::new(Finisher(board.clone())),
    ))?;
    space.add(Region::mmio(
        "clint",
        0x200_0000,
        0x1_0000,
        Arc::new(Clint(board.clone())),
    ))?;
    let config = Config {
        isa: Isa::default(),
        firmware: Firmware::Guest,
    };
    let mut hart = Hart::new(config, control, space, board);
    hart.reset(Start::Machine { pc: RAM });
    let started = Instant::now();
    hart.run();
    let seconds = started.elapsed().as_secs_f64();
    let millions = hart.retired() as f64 / 1e6;
    println!(
        "{millions:.1} M instructions in {seconds:.3} s: {:.0} MIPS",
        millions / seconds
    );
    Ok(())
}
