//! The machine as a test sees it through the qtest protocol.

use std::sync::Arc;

use tinamou_devices::IrqLine;
use tinamou_hart::Hart;

use crate::config::Accelerator;
use crate::qtest::{Lines, Refusal, Target};
use crate::virt::{PCI_IRQ, RTC_IRQ, UART_IRQ};
use crate::{Machine, Virt};

/// Told of intercepted lines: number and new level. Called from whichever thread moves the line.
pub type LineReport = Arc<dyn Fn(u32, bool) + Send + Sync>;

/// What a machine remembers of the test that drives it.
#[derive(Default)]
pub(crate) struct TestState {
    /// Who is told of intercepted lines.
    pub(crate) report: Option<LineReport>,
    /// The device whose lines are intercepted.
    intercepted: Option<String>,
}

/// QEMU's name for the interrupt outputs of a device on the system bus.
const SYSBUS_IRQ: &str = "sysbus-irq";
/// QEMU's name for lines that have none.
const UNNAMED_INPUT: &str = "unnamed-gpio-in";

impl Machine {
    /// Says who is told of lines that a test intercepts from now on.
    pub fn on_line_change(&mut self, report: LineReport) {
        self.test.report = Some(report);
    }

    fn lines(&self, path: &str, lines: Lines, name: Option<&str>) -> Result<Vec<IrqLine>, Refusal> {
        let virt = self.virt().ok_or(Refusal::UnknownDevice)?;
        let device = DeviceLines::of(virt, path).ok_or(Refusal::UnknownDevice)?;
        match (lines, name) {
            (Lines::In, Some(_)) => Err(Refusal::NamedInputs),
            (Lines::In, None) => Ok(device.inputs),
            (Lines::Out, name) if name == device.output_name => Ok(device.outputs),
            (Lines::Out, _) => Ok(Vec::new()),
        }
    }
}

/// The lines of a device.
#[derive(Default)]
struct DeviceLines {
    inputs: Vec<IrqLine>,
    outputs: Vec<IrqLine>,
    output_name: Option<&'static str>,
}

impl DeviceLines {
    /// The device at a path of the object tree, which is QEMU's.
    fn of(virt: &Virt, path: &str) -> Option<Self> {
        let number = path
            .strip_prefix("/machine/unattached/device[")?
            .strip_suffix(']')?;
        match number.parse().ok()? {
            0 | 1 | 3 => Some(Self::default()),
            2 => Some(Self::interrupt_controller(virt)),
            slot @ 4..=11 => Some(Self::source(virt, slot - 3)),
            12 => Some(Self::pci_host(virt)),
            14 => Some(Self::source(virt, UART_IRQ)),
            15 => Some(Self::source(virt, RTC_IRQ)),
            _ => None,
        }
    }

    fn interrupt_controller(virt: &Virt) -> Self {
        Self {
            inputs: virt.inputs.clone(),
            outputs: virt.controller.outputs(),
            output_name: None,
        }
    }

    /// Its outputs are the four interrupt wires.
    fn pci_host(virt: &Virt) -> Self {
        let wires = virt.inputs.iter().skip(PCI_IRQ).take(4);
        Self {
            outputs: wires.cloned().collect(),
            output_name: Some(SYSBUS_IRQ),
            ..Self::default()
        }
    }

    /// A device with one line into the interrupt controller.
    fn source(virt: &Virt, number: usize) -> Self {
        let outputs = virt.inputs.get(number).cloned().into_iter().collect();
        Self {
            outputs,
            output_name: Some(SYSBUS_IRQ),
            ..Self::default()
        }
    }
}

impl Target for Machine {
    fn load(&mut self, address: u64, size: u8) -> u64 {
        let mut bytes = [0; 8];
        self.read_physical(address, &mut bytes[..usize::from(size.min(8))]);
        u64::from_le_bytes(bytes)
    }

    fn store(&mut self, address: u64, size: u8, value: u64) {
        self.write_physical(address, &value.to_le_bytes()[..usize::from(size.min(8))]);
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) {
        self.read_physical(address, bytes);
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        self.write_physical(address, bytes);
    }

    fn clock_step(&mut self, nanoseconds: Option<u64>) -> Option<u64> {
        let now = self.clock().now();
        let time = match nanoseconds {
            Some(step) => now.saturating_add(step),
            None => self.clock().next_deadline().unwrap_or(now),
        };
        self.clock_set(time)
    }

    fn clock_set(&mut self, nanoseconds: u64) -> Option<u64> {
        if self.config().accelerator != Accelerator::Qtest {
            return None;
        }
        self.clock().step_to(nanoseconds);
        Some(self.clock().now())
    }

    fn intercept(&mut self, path: &str, lines: Lines, name: Option<&str>) -> Result<(), Refusal> {
        let wires = self.lines(path, lines, name)?;
        if let Some(device) = &self.test.intercepted {
            return if device == path {
                Ok(())
            } else {
                Err(Refusal::AlreadyEnabled)
            };
        }
        if wires.is_empty() && lines == Lines::Out {
            return Err(Refusal::NoneInstalled);
        }
        for (number, wire) in (0..).zip(wires) {
            let Some(report) = self.test.report.clone() else {
                continue;
            };
            // A wire tapped before by another device's name keeps reporting that way.
            wire.tap(move |level| report(number, level));
        }
        self.test.intercepted = Some(path.into());
        Ok(())
    }

    fn set_line(&mut self, path: &str, name: &str, line: u32, level: bool) -> Result<(), Refusal> {
        let wires = self.lines(path, Lines::In, None)?;
        let wire = wires.get(line as usize).filter(|_| name == UNNAMED_INPUT);
        wire.ok_or(Refusal::UnknownLine)?.set(level);
        Ok(())
    }

    fn csr(&mut self, hart: u64, number: u16, write: Option<u64>) -> Option<u64> {
        let index = usize::try_from(hart).ok()?;
        let access = |hart: &mut Hart| match write {
            // As QEMU's, the answer is what was asked for, not what the register made of it.
            Some(value) => hart.set_csr(number, value).map(|()| value),
            None => hart.csr(number),
        };
        self.with_hart(index, access).ok()?
    }
}
