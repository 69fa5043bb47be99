//! How interrupts get to the harts: through a PLIC, or through the advanced architecture's APLIC,
//! which has a wire to each hart or sends messages to interrupt files.

use std::sync::Arc;

use tinamou_devices::aplic::{self, Aplic, Delivery, Level};
use tinamou_devices::imsic::{self, Imsic};
use tinamou_devices::plic::{self, Plic};
use tinamou_devices::{IrqLine, IrqSink, MsiSink, NoMessages};
use tinamou_hart::{HartControl, InterruptFile, Line, Privilege};
use tinamou_memory::Region;

use super::{Range, pin};
use crate::config::Aia;

pub(super) const PLIC: Range = Range {
    base: 0xc00_0000,
    size: plic::SIZE,
};
pub(super) const APLIC_MACHINE: Range = Range {
    base: 0xc00_0000,
    size: aplic::SIZE,
};
pub(super) const APLIC_SUPERVISOR: Range = Range {
    base: 0xd00_0000,
    size: aplic::SIZE,
};
/// The interrupt files of machine mode; the size is for each hart.
pub(super) const IMSIC_MACHINE: Range = Range {
    base: 0x2400_0000,
    size: imsic::PAGE,
};
/// The interrupt files of supervisor mode.
pub(super) const IMSIC_SUPERVISOR: Range = Range {
    base: 0x2800_0000,
    size: imsic::PAGE,
};

/// The interrupt controller.
pub enum Controller {
    /// The platform-level one.
    Plic(Arc<Plic>),
    /// The advanced one, and what takes its messages if it sends any.
    Aplic(Arc<Aplic>, Option<Arc<Files>>),
}

impl Controller {
    pub(super) fn new(aia: Aia, harts: &[Arc<HartControl>]) -> Self {
        let pins = |line| harts.iter().map(|hart| pin(hart, line)).collect::<Vec<_>>();
        let (machine, supervisor) = (pins(Line::MachineExternal), pins(Line::SupervisorExternal));
        match aia {
            Aia::None => {
                let contexts = machine.into_iter().zip(supervisor);
                let contexts = contexts.flat_map(|(machine, supervisor)| [machine, supervisor]);
                Self::Plic(Plic::new(contexts.collect()))
            }
            Aia::Aplic => {
                let delivery = Delivery::Direct {
                    machine,
                    supervisor,
                };
                Self::Aplic(Aplic::new(delivery), None)
            }
            Aia::AplicImsic => {
                let files = Arc::new(Files::new(machine, supervisor));
                let aplic = Aplic::new(Delivery::Messages(files.clone()));
                Self::Aplic(aplic, Some(files))
            }
        }
    }

    /// The wires into the controller, by source number.
    pub(super) fn inputs(&self) -> Vec<IrqLine> {
        let (sink, sources): (Arc<dyn IrqSink>, _) = match self {
            Self::Plic(plic) => (plic.clone(), plic::SOURCES),
            Self::Aplic(aplic, _) => (aplic.clone(), aplic::SOURCES),
        };
        let inputs = 0..sources;
        inputs
            .map(|source| IrqLine::new(Arc::clone(&sink), source))
            .collect()
    }

    /// The wires out of it, numbered as QEMU's: supervisor mode of each hart, then machine mode.
    #[must_use]
    pub fn outputs(&self) -> Vec<IrqLine> {
        match self {
            Self::Plic(plic) => {
                let of_mode = |first| plic.outputs().iter().skip(first).step_by(2).cloned();
                of_mode(1).chain(of_mode(0)).collect()
            }
            Self::Aplic(aplic, _) => {
                let levels = [Level::Supervisor, Level::Machine];
                levels.map(|level| aplic.outputs(level)).concat()
            }
        }
    }

    /// Where functions send their messages.
    #[must_use]
    pub fn messages(&self) -> Arc<dyn MsiSink> {
        match self.files() {
            Some(files) => files.clone(),
            None => Arc::new(NoMessages),
        }
    }

    /// The harts' interrupt files.
    pub(crate) fn files(&self) -> Option<&Arc<Files>> {
        match self {
            Self::Plic(_) | Self::Aplic(_, None) => None,
            Self::Aplic(_, Some(files)) => Some(files),
        }
    }

    /// Puts registers as at power-on or, where no firmware runs that would do it, as firmware
    /// leaves them.
    pub(super) fn reset(&self, harts: usize, after_firmware: bool) {
        match self {
            Self::Plic(plic) => plic.reset(),
            Self::Aplic(aplic, files) => {
                aplic.reset();
                if after_firmware {
                    aplic.delegate(IMSIC_SUPERVISOR.base, harts);
                }
                if let Some(files) = files {
                    files.machine.reset();
                    files.supervisor.reset();
                }
            }
        }
    }

    pub(super) fn regions(&self) -> Vec<Region> {
        match self {
            Self::Plic(plic) => vec![
                Region::mmio("riscv.sifive.plic", PLIC.base, PLIC.size, plic.clone())
                    .accepting(4..=4),
            ],
            Self::Aplic(aplic, files) => {
                let domain = |range: Range, level| {
                    let window = aplic::Window::new(Arc::clone(aplic), level);
                    Region::mmio("riscv.aplic", range.base, range.size, Arc::new(window))
                        .accepting(4..=4)
                };
                let domains = [
                    domain(APLIC_MACHINE, Level::Machine),
                    domain(APLIC_SUPERVISOR, Level::Supervisor),
                ];
                let pages = files.iter().flat_map(|files| {
                    [&files.machine, &files.supervisor].map(|imsic| {
                        Region::mmio("riscv.imsic", imsic.base(), imsic.size(), imsic.clone())
                            .accepting(4..=4)
                    })
                });
                domains.into_iter().chain(pages).collect()
            }
        }
    }
}

/// The interrupt files of all harts.
#[derive(Debug)]
pub struct Files {
    machine: Arc<Imsic>,
    supervisor: Arc<Imsic>,
    /// What harts see of them: machine mode, then supervisor mode.
    views: Vec<[View; 2]>,
}

/// An interrupt file as its hart sees it.
#[derive(Debug)]
struct View(Arc<imsic::InterruptFile>);

impl InterruptFile for View {
    fn access(&self, select: u64, change: Option<&dyn Fn(u64) -> u64>) -> Option<u64> {
        self.0.access(select, change)
    }

    fn top(&self, claim: bool) -> u64 {
        self.0.top(claim)
    }
}

impl Files {
    fn new(machine: Vec<IrqLine>, supervisor: Vec<IrqLine>) -> Self {
        let machine = Arc::new(Imsic::new(IMSIC_MACHINE.base, machine));
        let supervisor = Arc::new(Imsic::new(IMSIC_SUPERVISOR.base, supervisor));
        let files = machine.files().iter().zip(supervisor.files());
        let views = files
            .map(|(machine, supervisor)| [machine, supervisor].map(|file| View(Arc::clone(file))));
        Self {
            views: views.collect(),
            machine,
            supervisor,
        }
    }

    pub(crate) fn file(&self, hart: u64, level: Privilege) -> Option<&dyn InterruptFile> {
        let [machine, supervisor] = self.views.get(usize::try_from(hart).ok()?)?;
        match level {
            Privilege::Machine => Some(machine),
            Privilege::Supervisor => Some(supervisor),
            Privilege::User => None,
        }
    }
}

impl MsiSink for Files {
    fn send(&self, address: u64, data: u32) {
        self.machine.send(address, data);
        self.supervisor.send(address, data);
    }
}
