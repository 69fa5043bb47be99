//! The machine that the command line describes.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tinamou_devices::NANOS_PER_SECOND;
use tinamou_devices::rtc::{Source, TimeOfDay};
use tinamou_machine::config::{Accelerator, Bios, BoardKind};
use tinamou_machine::{Event, Machine, MachineConfig, Payload};

use super::{Failure, Start};
use crate::options::config::{self, Config, Firmware, MachineKind, RtcBase, RtcClock};
use crate::serial::SerialPort;
use crate::{commands, devices, events};

impl Start<'_> {
    /// Makes the machine, its serial port joined and its events sent to
    /// `events`.
    pub(super) fn build_machine(
        &self,
        serial: Option<&Arc<SerialPort>>,
    ) -> Result<Machine, Failure> {
        let mut parts = parts(&self.config);
        let slots = devices::board::virtio_slots(&self.config.globals).map_err(Failure::new)?;
        parts.virtio_mmio_legacy = slots.force_legacy;
        parts.main_memory = self.objects.main_memory(main_memory_id(&self.config));
        if let Some(serial) = serial {
            parts.serial = Arc::clone(serial) as _;
        }
        let (events, blocks) = (self.events.clone(), self.blocks.clone());
        let observer = Box::new(move |event| {
            events::emit(&events, event);
            if matches!(event, Event::Resume) {
                blocks.resume();
            }
        });
        let machine = Machine::new(parts, observer).map_err(Failure::new)?;
        if let (Some(serial), Some(virt)) = (serial, machine.virt()) {
            serial.connect(&virt.uart);
        }
        Ok(machine)
    }
}

/// The object that is the machine's memory.
pub(super) fn main_memory_id(config: &Config) -> &str {
    let id = config.machine.memory_backend.as_deref();
    id.unwrap_or("riscv_virt_board.ram")
}

/// Writes the device tree for `-machine dumpdtb=`.
pub(super) fn save_device_tree(machine: &Machine, path: &Path) -> Result<(), Failure> {
    let tree = machine.device_tree().map_err(Failure::new)?;
    std::fs::write(path, tree).map_err(|error| {
        Failure(format!(
            "Error saving FDT to file {}: {}",
            path.display(),
            commands::machine::reason(&error)
        ))
    })
}

/// The options in the machine's own terms.
fn parts(config: &Config) -> MachineConfig {
    MachineConfig {
        board: match config.machine.kind {
            MachineKind::None => BoardKind::None,
            MachineKind::Virt => BoardKind::Virt,
        },
        accelerator: match config.accel {
            config::Accel::Tcg => Accelerator::Tcg,
            config::Accel::Qtest => Accelerator::Qtest,
        },
        ram_size: config.memory.size,
        max_ram_size: config.memory.max_size,
        ram_slots: config.memory.slots,
        cpus: config.smp.cpus as usize,
        isa: config.cpu.isa,
        bios: bios(&config.firmware),
        kernel: kernel(config),
        initrd: config.initrd.clone(),
        append: config.append.clone().unwrap_or_default(),
        dtb: config.dtb.clone(),
        rtc: time_of_day(config.rtc),
        actions: config.actions,
        power_button: config
            .machine
            .power_button
            .unwrap_or(config.embedded_default),
        aia: config.machine.aia,
        aclint: config.machine.aclint,
        ..MachineConfig::default()
    }
}

fn bios(firmware: &Firmware) -> Bios {
    match firmware {
        Firmware::Default => Bios::BuiltIn,
        Firmware::None => Bios::None,
        Firmware::File(path) => Bios::File(path.clone()),
    }
}

/// What runs first, or after the firmware: the built-in guest when nothing was
/// given that could run.
fn kernel(config: &Config) -> Option<Payload> {
    let virt = config.machine.kind == MachineKind::Virt;
    match (&config.kernel, &config.firmware) {
        (Some(path), _) => Some(Payload::File(path.clone())),
        (None, Firmware::Default) if virt => Some(Payload::Bytes(
            "built-in guest".into(),
            tinamou_guest::image().into(),
        )),
        (None, _) => None,
    }
}

/// Where the real-time clock starts, relative to the host's.
fn time_of_day(rtc: config::RtcConfig) -> TimeOfDay {
    let source = match rtc.clock {
        RtcClock::Host => Source::Host,
        RtcClock::Rt => Source::Monotonic,
        RtcClock::Vm => Source::Virtual,
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = match rtc.base {
        RtcBase::Utc => 0,
        RtcBase::Localtime => east_of_utc(),
        RtcBase::Fixed(seconds) => seconds.saturating_sub(now.as_secs() as i64),
    };
    let offset = seconds.saturating_mul(NANOS_PER_SECOND as i64);
    TimeOfDay { source, offset }
}

/// Seconds by which the host's clocks on the wall are ahead of UTC now.
fn east_of_utc() -> i64 {
    let offset = TimeZone::system().to_offset(Timestamp::now());
    offset.seconds().into()
}
