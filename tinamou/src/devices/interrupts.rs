//! The board's interrupt controllers and timers as objects: which there are depends on
//! `-machine aia=` and `aclint=`, and with them the numbers of all devices after them.

use tinamou_machine::config::{Aia, MachineConfig};
use tinamou_qdev::{Properties, properties};
use tinamou_qmp::Value;

use super::Class;
use super::board::{
    MTIMER, MtimerProperties, PLIC, PlicProperties, SWI, SwiProperties, Wired, values,
};

properties! {
    /// An interrupt domain.
    pub struct AplicProperties {
        /// The number of the first hart.
        pub hartid_base: u32 = 0 => "hartid-base";
        /// How many harts it has wires to.
        pub num_harts: u32 = 0 => "num-harts";
        /// Which bits of a priority are implemented.
        pub iprio_mask: u32 = 0 => "iprio-mask";
        /// How many sources there are, one that does not exist included.
        pub num_irqs: u32 = 0 => "num-irqs";
        /// Whether interrupts are delivered as messages.
        pub msimode: bool = false => "msimode";
        /// Whether it is machine mode's.
        pub mmode: bool = false => "mmode";
        /// Bytes of registers.
        pub aperture_size: u32 = 0 => "aperture-size";
    }
}

properties! {
    /// The interrupt files of a privilege level of a hart.
    pub struct ImsicProperties {
        /// Whether they are machine mode's.
        pub mmode: bool = false => "mmode";
        /// The number of the hart.
        pub hartid: u32 = 0 => "hartid";
        /// How many files there are.
        pub num_pages: u32 = 0 => "num-pages";
        /// How many identities there are, one that does not exist included.
        pub num_irqs: u32 = 0 => "num-irqs";
    }
}

/// An interrupt domain of the advanced architecture.
pub const APLIC: Class = Class {
    properties: &[AplicProperties::SPECS],
    ..Class::new("riscv.aplic", "sys-bus-device")
};

/// Interrupt files of a hart.
pub const IMSIC: Class = Class {
    properties: &[ImsicProperties::SPECS],
    ..Class::new("riscv.imsic", "sys-bus-device")
};

/// A device of the board: class, values, wires.
pub(super) type Part = (&'static Class, Vec<(&'static str, Value)>, Wired);

/// The devices in QEMU's order.
pub(super) fn parts(config: &MachineConfig, harts: u32) -> Vec<Part> {
    let mut parts = timers(config, harts);
    match config.aia {
        Aia::None => parts.push((&PLIC, values(&plic(harts)), plic_wires(harts))),
        Aia::Aplic => parts.extend([true, false].map(|machine| aplic(machine, harts))),
        Aia::AplicImsic => {
            for machine in [true, false] {
                parts.extend((0..harts).map(|hart| imsic(machine, hart)));
            }
            parts.extend([true, false].map(|machine| aplic(machine, 0)));
        }
    }
    parts
}

fn timers(config: &MachineConfig, harts: u32) -> Vec<Part> {
    let pins = format!("gpio-out \"\" {harts}");
    let software = |sswi: u32, address| {
        let swi = SwiProperties {
            num_harts: harts,
            sswi,
            ..Default::default()
        };
        let part: Part = (&SWI, values(&swi), Wired::new(&pins, address, 0x4000));
        part
    };
    let timer = |address| {
        let mtimer = MtimerProperties {
            num_harts: harts,
            timebase_freq: 10_000_000,
            ..Default::default()
        };
        let part: Part = (&MTIMER, values(&mtimer), Wired::new(&pins, address, 0x8000));
        part
    };
    match (config.aclint, config.aia) {
        (true, Aia::AplicImsic) => vec![timer(0x200_0000)],
        (false, _) => vec![software(0, 0x200_0000), timer(0x200_4000)],
        (true, _) => vec![
            software(0, 0x200_0000),
            timer(0x200_4000),
            software(1, 0x2f0_0000),
        ],
    }
}

fn plic(harts: u32) -> PlicProperties {
    let modes: Vec<_> = (0..harts).map(|_| "MS").collect();
    PlicProperties {
        hart_config: Some(modes.join(",")),
        num_sources: 96,
        num_priorities: 7,
        pending_base: 0x1000,
        enable_base: 0x2000,
        enable_stride: 0x80,
        context_base: 0x20_0000,
        context_stride: 0x1000,
        aperture_size: 0x60_0000,
        ..Default::default()
    }
}

fn plic_wires(harts: u32) -> Wired {
    let mut wired = Wired::new("gpio-in \"\" 96", 0xc00_0000, 0x60_0000);
    wired.wires.push(format!("gpio-out \"\" {}", harts * 2));
    wired
}

/// A domain with wires to so many harts; with none it sends messages.
fn aplic(machine: bool, harts: u32) -> Part {
    let aplic = AplicProperties {
        num_harts: harts,
        iprio_mask: 7,
        num_irqs: 97,
        msimode: harts == 0,
        mmode: machine,
        aperture_size: 0x8000,
        ..Default::default()
    };
    let mut wired = Wired::new("", if machine { 0xc00_0000 } else { 0xd00_0000 }, 0x8000);
    // The child gets its inputs from the root.
    if machine {
        wired.wires.push("gpio-in \"\" 97".into());
    }
    if harts != 0 {
        wired.wires.push(format!("gpio-out \"\" {harts}"));
    }
    (&APLIC, values(&aplic), wired)
}

fn imsic(machine: bool, hart: u32) -> Part {
    let imsic = ImsicProperties {
        mmode: machine,
        hartid: hart,
        num_pages: 1,
        num_irqs: 256,
    };
    let base = if machine { 0x2400_0000 } else { 0x2800_0000 };
    let address = base + u64::from(hart) * 0x1000;
    let wired = Wired::new("gpio-out \"\" 1", address, 0x1000);
    (&IMSIC, values(&imsic), wired)
}
