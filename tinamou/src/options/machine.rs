//! `-machine`, `-accel` and `-cpu`: which board, and what executes on it.

use super::config::{Accel, MachineConfig, MachineKind};
use super::error::{Error, Origin, Result};
use super::help;
use super::low::LowArgs;
use super::params::{self, Group, Param, Params};
use super::value;
use tinamou_machine::config::Aia;

/// `-machine`, as it introspects. It is parsed as keyval, and each key is a
/// property of the machine.
pub(crate) static GROUP: Group = Group {
    name: "machine",
    implied: Some("type"),
    merge: true,
    params: &[
        Param::string("type").help("emulated machine"),
        Param::string("kernel").help("kernel image file"),
        Param::string("initrd").help("initial ramdisk file"),
        Param::string("firmware").help("firmware image file"),
        Param::string("append").help("kernel command line"),
        Param::string("dtb").help("device tree file for the kernel"),
        Param::string("dumpdtb").help("write the device tree to this file and exit"),
        Param::string("memory-backend").help("object that is the main memory"),
        Param::boolean("dump-guest-core").help("include guest memory in core dumps"),
        Param::boolean("mem-merge").help("let the host merge equal pages"),
        Param::boolean("usb").help("on is not available"),
        Param::boolean("graphics").help("accepted; there is no display"),
        Param::string("acpi").help("accepted; there are no ACPI tables"),
        Param::boolean("aclint").help("ACLINT devices in place of the CLINT"),
        Param::boolean("power-button").help("a key that system_powerdown presses"),
        Param::string("aia").help("interrupt controller: none (a PLIC), aplic or aplic-imsic"),
        Param::string("accel").help("accelerators to try, separated by colons"),
    ],
};

/// `-accel`; each accelerator has its own parameters.
pub(crate) static ACCEL: Group = Group {
    name: "accel",
    implied: Some("accel"),
    merge: false,
    params: &[],
};

/// The accelerators, as `-accel help` lists them.
pub(crate) const ACCELS: &[Accel] = &[Accel::Tcg, Accel::Qtest];

/// The machines, as `-machine help` lists them: kind, description.
pub(crate) const MACHINES: &[(MachineKind, &str)] = &[
    (MachineKind::None, "empty machine"),
    (MachineKind::Virt, "RISC-V VirtIO board (default)"),
];

/// Reads `-machine`.
pub(crate) fn read_machine(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(help::machines());
        return Ok(());
    }
    if text.split(',').any(params::asks_for_help) {
        low.answer = Some(help::group(&GROUP));
        return Ok(());
    }
    low.machine.extend(params::keyval(text, Some("type"))?);
    Ok(())
}

/// `-enable-kvm` is `-accel kvm`.
pub(crate) fn kvm() -> Params {
    let mut params = Params::at(&Origin::option("-enable-kvm", None));
    params.set("accel", "kvm");
    params
}

/// Reads `-accel`.
pub(crate) fn read_accel(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    let given = ACCEL.parse(text, origin, &mut low.warnings)?;
    if matches!(given.text("accel"), None | Some("help" | "?")) {
        low.answer = Some(help::accels());
        return Ok(());
    }
    low.accel.push(given);
    Ok(())
}

/// What `-machine` says, and what else is a property of the machine.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) config: MachineConfig,
    pub(crate) kernel: Option<String>,
    pub(crate) initrd: Option<String>,
    pub(crate) append: Option<String>,
    pub(crate) firmware: Option<String>,
    pub(crate) dtb: Option<String>,
    pub(crate) smp: Vec<(String, String)>,
    pub(crate) memory: Vec<(String, String)>,
    pub(crate) boot: Vec<(String, String)>,
    accel: Option<String>,
}

/// Makes sense of `-machine`.
pub(crate) fn resolve(pairs: &[(String, String)]) -> Result<Machine> {
    let kind = match pairs.iter().rev().find(|(key, _)| key == "type") {
        Some((_, name)) => kind(name)?,
        None => MachineKind::default(),
    };
    let mut machine = Machine {
        config: MachineConfig {
            kind,
            ..MachineConfig::default()
        },
        ..Machine::default()
    };
    for (key, text) in pairs.iter().filter(|(key, _)| key != "type") {
        machine.set(key, text)?;
    }
    Ok(machine)
}

fn kind(name: &str) -> Result<MachineKind> {
    let found = MACHINES
        .iter()
        .map(|(kind, _)| *kind)
        .find(|kind| kind.name() == name);
    found.ok_or_else(|| {
        Error::new(format!("unsupported machine type: \"{name}\""))
            .hint("Use -machine help to list supported machines")
    })
}

impl Machine {
    fn set(&mut self, key: &str, text: &str) -> Result<()> {
        if self.set_nested(key, text) {
            return Ok(());
        }
        let config = &mut self.config;
        match key {
            "kernel" => self.kernel = Some(text.to_owned()),
            "initrd" => self.initrd = Some(text.to_owned()),
            "append" => self.append = Some(text.to_owned()),
            "firmware" => self.firmware = Some(text.to_owned()),
            "dtb" => self.dtb = Some(text.to_owned()),
            "accel" => self.accel = Some(text.to_owned()),
            "dumpdtb" => config.dumpdtb = Some(text.into()),
            "memory-backend" => config.memory_backend = Some(text.to_owned()),
            "dump-guest-core" => config.dump_guest_core = Some(value::boolean(key, text)?),
            "mem-merge" => config.mem_merge = Some(value::boolean(key, text)?),
            "graphics" | "suppress-vmdesc" => drop(value::boolean(key, text)?),
            "smp" | "memory" | "boot" => {
                let message = format!("Invalid parameter type for '{key}', expected: object");
                return Err(Error::new(message));
            }
            "usb" if !value::boolean(key, text)? => {}
            "usb" => return Err(Error::new("this machine has no USB")),
            _ if config.kind == MachineKind::Virt => return config.set_virt(key, text),
            _ => return Err(unknown(config.kind, key)),
        }
        Ok(())
    }

    /// `smp.cpus=2` is `-smp cpus=2`, and so on.
    fn set_nested(&mut self, key: &str, text: &str) -> bool {
        let Some((outer, inner)) = key.split_once('.') else {
            return false;
        };
        let pairs = match outer {
            "smp" => &mut self.smp,
            "memory" => &mut self.memory,
            "boot" => &mut self.boot,
            _ => return false,
        };
        pairs.push((inner.to_owned(), text.to_owned()));
        true
    }
}

impl MachineConfig {
    fn set_virt(&mut self, key: &str, text: &str) -> Result<()> {
        match key {
            "aclint" => self.aclint = value::boolean(key, text)?,
            "power-button" => self.power_button = Some(value::boolean(key, text)?),
            "acpi" | "iommu-sys" => match text {
                "off" | "auto" => {}
                "on" if key == "acpi" => {}
                "on" => return Err(Error::new("this machine has no IOMMU")),
                _ => return Err(Error::value_not_accepted(key, text)),
            },
            "aia-guests" => match text.parse::<u8>() {
                Ok(0) => {}
                Ok(1..=7) => return Err(Error::new("guest interrupt files are not available")),
                _ => {
                    return Err(Error::new("Invalid number of AIA IMSIC guests")
                        .hint("Valid values be between 0 and 7."));
                }
            },
            "aia" => {
                self.aia = match text {
                    "none" => Aia::None,
                    "aplic" => Aia::Aplic,
                    "aplic-imsic" => Aia::AplicImsic,
                    _ => {
                        return Err(Error::new("Invalid AIA interrupt controller type")
                            .hint("Valid values are none, aplic, and aplic-imsic."));
                    }
                };
            }
            _ => return Err(unknown(self.kind, key)),
        }
        Ok(())
    }
}

fn unknown(kind: MachineKind, key: &str) -> Error {
    let outer = key.split('.').next().unwrap_or(key);
    Error::new(format!(
        "Property '{}-machine.{outer}' not found",
        kind.name()
    ))
}

/// Makes sense of `-accel` and `-machine accel=`: the first that exists.
pub(crate) fn resolve_accel(machine: &Machine, low: &LowArgs) -> Result<Accel> {
    let Some(list) = &machine.accel else {
        let given = low
            .accel
            .iter()
            .map(resolve_one_accel)
            .collect::<Result<Vec<_>>>()?;
        return Ok(given.first().copied().unwrap_or_default());
    };
    if !low.accel.is_empty() {
        return Err(Error::new(
            "The -accel and \"-machine accel=\" options are incompatible",
        ));
    }
    let found = list.split(':').find_map(|name| accel(name).ok());
    found.ok_or_else(|| Error::new(format!("invalid accelerator {list}")))
}

fn resolve_one_accel(params: &Params) -> Result<Accel> {
    let accel = accel(params.text("accel").unwrap_or(""));
    let accel = accel.map_err(|error| error.at(&params.origin))?;
    for (key, text) in params.pairs.iter().filter(|(key, _)| key != "accel") {
        check_accel_property(accel, key, text).map_err(|error| error.at(&params.origin))?;
    }
    Ok(accel)
}

fn accel(name: &str) -> Result<Accel> {
    let found = ACCELS.iter().copied().find(|accel| accel.name() == name);
    found.ok_or_else(|| Error::new(format!("invalid accelerator {name}")))
}

/// The translator's knobs are accepted: there is nothing that they could turn.
fn check_accel_property(accel: Accel, key: &str, text: &str) -> Result<()> {
    match (accel, key) {
        (Accel::Tcg, "thread") if !matches!(text, "single" | "multi") => {
            Err(Error::new(format!("Invalid 'thread' setting {text}")))
        }
        (Accel::Tcg, "thread") => Ok(()),
        (Accel::Tcg, "one-insn-per-tb" | "split-wx") => value::boolean(key, text).map(drop),
        (Accel::Tcg, "tb-size") => match value::parse_integer(text) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(format!("Parameter '{key}' expects uint64"))),
        },
        _ => Err(Error::new(format!(
            "Property '{}-accel.{key}' not found",
            accel.name()
        ))),
    }
}
