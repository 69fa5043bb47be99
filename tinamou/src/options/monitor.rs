//! Who talks through which character device: `-mon`, `-monitor`, `-qmp`,
//! `-serial`, `-qtest`, and what there is when nothing is said about them.

use super::chardev;
use super::config::{
    ChardevBackend, ChardevConfig, Config, MachineKind, MonitorConfig, MonitorMode,
};
use super::error::{Error, Origin, Result, Warning};
use super::low::LowArgs;
use super::params::{Group, Param, Params};

/// `-mon`
pub(crate) static GROUP: Group = Group {
    name: "mon",
    implied: Some("chardev"),
    merge: false,
    params: &[
        Param::boolean("pretty"),
        Param::string("chardev"),
        Param::string("mode"),
    ],
};

/// Where QMP is when nothing is said about monitors at all.
const DEFAULT_QMP: &str = "tcp:localhost:4444,server=on,wait=off";

/// A monitor as it was asked for.
#[derive(Debug)]
pub(crate) enum Monitor {
    /// `-mon`
    Long(Params),
    /// `-monitor`, `-qmp`, `-qmp-pretty`: a character device in short notation.
    Short {
        device: String,
        mode: MonitorMode,
        pretty: bool,
        origin: Origin,
    },
}

/// Reads `-mon`.
pub(crate) fn read_mon(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    let params = GROUP.parse(text, origin, &mut low.warnings)?;
    low.monitors.push(Monitor::Long(params));
    Ok(())
}

/// Reads `-monitor`, `-qmp` and `-qmp-pretty`.
pub(crate) fn read_short(
    low: &mut LowArgs,
    device: &str,
    origin: &Origin,
    mode: MonitorMode,
    pretty: bool,
) -> Result<()> {
    let (device, origin) = (device.to_owned(), origin.clone());
    low.monitors.push(Monitor::Short {
        device,
        mode,
        pretty,
        origin,
    });
    Ok(())
}

/// Reads `-serial`.
pub(crate) fn read_serial(low: &mut LowArgs, device: &str, origin: &Origin) -> Result<()> {
    low.serials.push((device.to_owned(), origin.clone()));
    Ok(())
}

/// Reads `-qtest`.
pub(crate) fn read_qtest(low: &mut LowArgs, device: &str, origin: &Origin) -> Result<()> {
    low.qtest = Some((device.to_owned(), origin.clone()));
    Ok(())
}

/// Connects monitors and serial ports, and makes the character devices that
/// they imply.
pub(crate) fn resolve(low: &mut LowArgs, config: &mut Config) -> Result<()> {
    config.embedded_default = fill_in(low, config.machine.kind);
    let mut wiring = Wiring {
        config,
        warnings: &mut low.warnings,
        short_monitors: 0,
    };
    for monitor in &low.monitors {
        wiring.add_monitor(monitor)?;
    }
    for (device, origin) in &low.serials {
        wiring
            .add_serial(device, origin)
            .map_err(|error| error.at(origin))?;
    }
    if let Some((device, origin)) = &low.qtest {
        let id = wiring.device(device, "qtest", origin)?;
        wiring.claim(&id).map_err(|error| error.at(origin))?;
        wiring.config.qtest = Some(id);
    }
    Ok(())
}

/// Asks for what was left out. Gives whether nothing was said about terminals
/// at all, so that the user should be told what there is.
fn fill_in(low: &mut LowArgs, machine: MachineKind) -> bool {
    if low.no_defaults {
        return false;
    }
    let serial = low.serials.is_empty();
    let monitor =
        low.monitors.is_empty() && !low.serials.iter().any(|(text, _)| text.starts_with("mon:"));
    let elsewhere = low.display_none || low.daemonize || low.qtest.is_some();
    let embedded = serial && monitor && !low.nographic && !elsewhere;
    match (
        low.nographic || embedded,
        serial && machine.has_serial(),
        monitor,
    ) {
        (true, true, true) => low.add_serial("mon:stdio"),
        (true, true, false) => low.add_serial("stdio"),
        (true, false, true) => low.add_monitor("stdio", MonitorMode::Readline),
        (false, true, _) => low.add_serial("null"),
        (_, false, _) => {}
    }
    if embedded {
        low.add_monitor(DEFAULT_QMP, MonitorMode::Control);
    }
    embedded
}

impl LowArgs {
    fn add_serial(&mut self, device: &str) {
        self.serials.push((device.to_owned(), Origin::default()));
    }

    fn add_monitor(&mut self, device: &str, mode: MonitorMode) {
        let (device, origin) = (device.to_owned(), Origin::default());
        self.monitors.push(Monitor::Short {
            device,
            mode,
            pretty: false,
            origin,
        });
    }
}

struct Wiring<'a> {
    config: &'a mut Config,
    warnings: &'a mut Vec<Warning>,
    short_monitors: usize,
}

impl Wiring<'_> {
    fn add_monitor(&mut self, monitor: &Monitor) -> Result<()> {
        match monitor {
            Monitor::Long(params) => {
                let monitor = long_monitor(params).map_err(|error| error.at(&params.origin))?;
                self.push_monitor(monitor)
            }
            Monitor::Short { device, .. } if device == "none" => Ok(()),
            Monitor::Short {
                device,
                mode,
                pretty,
                origin,
            } => {
                let id = format!("compat_monitor{}", self.short_monitors);
                self.short_monitors += 1;
                let chardev = self.device(device, &id, origin)?;
                let (mode, pretty, origin) = (*mode, *pretty, origin.clone());
                self.push_monitor(MonitorConfig {
                    chardev,
                    mode,
                    pretty,
                    origin,
                })
            }
        }
    }

    fn push_monitor(&mut self, monitor: MonitorConfig) -> Result<()> {
        self.claim(&monitor.chardev)
            .map_err(|error| error.at(&monitor.origin))?;
        self.config.monitors.push(monitor);
        Ok(())
    }

    fn add_serial(&mut self, device: &str, origin: &Origin) -> Result<()> {
        if device == "none" {
            self.config.serials.push(None);
            return Ok(());
        }
        let id = format!("serial{}", self.config.serials.len());
        let chardev = self.device(device, &id, origin)?;
        self.claim(&chardev)?;
        self.config.serials.push(Some(chardev.clone()));
        if device.starts_with("mon:") {
            let (mode, origin) = (MonitorMode::Readline, origin.clone());
            self.push_monitor(MonitorConfig {
                chardev,
                mode,
                pretty: false,
                origin,
            })?;
        }
        Ok(())
    }

    /// The character device that `text` means: `chardev:ID`, or one to be made
    /// and called `id`.
    fn device(&mut self, text: &str, id: &str, origin: &Origin) -> Result<String> {
        if let Some(existing) = text.strip_prefix("chardev:") {
            return Ok(existing.to_owned());
        }
        let params = chardev::parse_short(text, id, origin, self.warnings)?;
        add_chardev(self.config, chardev::resolve(&params)?)?;
        Ok(id.to_owned())
    }

    /// Checks that a character device is there and free for one more user.
    fn claim(&self, id: &str) -> Result<()> {
        let Some(chardev) = self.config.chardevs.iter().find(|chardev| chardev.id == id) else {
            return Err(Error::new(format!("chardev \"{id}\" not found")));
        };
        let monitors = self.config.monitors.iter().map(|monitor| &monitor.chardev);
        let mut taken = monitors.chain(self.config.serials.iter().flatten());
        if !is_shared(chardev) && taken.any(|other| other == id) {
            return Err(Error::new(
                tinamou_chardev::Error::InUse(id.into()).to_string(),
            ));
        }
        Ok(())
    }
}

fn is_shared(chardev: &ChardevConfig) -> bool {
    chardev.mux || matches!(chardev.backend, ChardevBackend::Mux { .. })
}

fn long_monitor(params: &Params) -> Result<MonitorConfig> {
    let chardev = params
        .string("chardev")
        .ok_or_else(|| Error::missing_parameter("chardev"))?;
    let mode = match params.text("mode") {
        None | Some("readline") => MonitorMode::Readline,
        Some("control") => MonitorMode::Control,
        Some(other) => return Err(Error::value_not_accepted("mode", other)),
    };
    let pretty = params.boolean("pretty")?.unwrap_or(false);
    if pretty && mode == MonitorMode::Readline {
        return Err(Error::new("'pretty' is not compatible with HMP monitors"));
    }
    Ok(MonitorConfig {
        chardev,
        mode,
        pretty,
        origin: params.origin.clone(),
    })
}

/// Adds a character device, if its id and the terminal are still free.
pub(crate) fn add_chardev(config: &mut Config, chardev: ChardevConfig) -> Result<()> {
    let refuse = |message: String| Err(Error::new(message).at(&chardev.origin));
    if config.chardevs.iter().any(|other| other.id == chardev.id) {
        return refuse(format!("Duplicate ID '{}' for chardev", chardev.id));
    }
    if is_stdio(&chardev) && config.daemonize {
        return refuse("cannot use stdio with -daemonize".to_owned());
    }
    if is_stdio(&chardev) && config.chardevs.iter().any(is_stdio) {
        return refuse("cannot use stdio by multiple character devices".to_owned());
    }
    config.chardevs.push(chardev);
    Ok(())
}

fn is_stdio(chardev: &ChardevConfig) -> bool {
    matches!(chardev.backend, ChardevBackend::Stdio { .. })
}
