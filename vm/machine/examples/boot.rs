//! Boots a kernel on the virt board with the terminal as its serial port:
//! `boot KERNEL [INITRD [APPEND [CPUS [FIRMWARE]]]]`.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, mpsc};

use tinamou_devices::uart::SerialBackend;
use tinamou_machine::config::Bios;
use tinamou_machine::{Machine, MachineConfig, Payload, Progress};

/// Standard output, and what was typed.
#[derive(Default)]
struct Terminal(Mutex<VecDeque<u8>>);

impl SerialBackend for Terminal {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut out = std::io::stdout().lock();
        let written = out.write(bytes).unwrap_or(bytes.len());
        // What cannot be shown is lost, like paper running out.
        let _ = out.flush();
        written
    }

    fn read(&self, room: &mut [u8]) -> usize {
        let Ok(mut typed) = self.0.lock() else {
            return 0;
        };
        let count = room.len().min(typed.len());
        room.iter_mut()
            .zip(typed.drain(..count))
            .for_each(|(place, byte)| *place = byte);
        count
    }

    fn set_break(&self, _: bool) {}
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let terminal = Arc::new(Terminal::default());
    let mut config = MachineConfig {
        ram_size: 512 << 20,
        kernel: arguments
            .next()
            .filter(|kernel| kernel != "-")
            .map(|k| Payload::File(k.into())),
        initrd: arguments
            .next()
            .filter(|initrd| initrd != "-")
            .map(Into::into),
        append: arguments.next().unwrap_or_default(),
        serial: terminal.clone(),
        ..MachineConfig::default()
    };
    if let Some(cpus) = arguments.next() {
        config.cpus = cpus.parse()?;
    }
    if let Some(firmware) = arguments.next() {
        config.bios = if firmware == "none" {
            Bios::None
        } else {
            Bios::File(firmware.into())
        };
    }
    let mut machine = Machine::new(config, Box::new(|event| eprintln!("{event:?}")))?;
    let (sender, wakes) = mpsc::channel();
    machine
        .requests()
        .on_request(move || sender.send(()).unwrap_or_default());
    machine.start()?;
    if let Some(virt) = machine.virt() {
        read_keys(terminal, Arc::clone(&virt.uart));
    }
    while wakes.recv().is_ok() {
        if let Progress::Exit(status) = machine.process_requests() {
            return Ok(status.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Hands what is typed to the serial port.
fn read_keys(terminal: Arc<Terminal>, uart: Arc<tinamou_devices::uart::Uart>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut bytes) {
            if let Ok(mut typed) = terminal.0.lock() {
                typed.extend(&bytes[..count]);
            }
            uart.readable();
        }
    });
}
