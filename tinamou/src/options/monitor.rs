//! Who talks through which character device: `-mon`, `-monitor`, `-qmp`,
//! `-serial`, `-qtest`, and what there is when nothing is said about them.

use super::chardev;
use super::config::{ChardevConfig, Config, MonitorConfig, MonitorMode};
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
    config.embedded_default = fill_in(low);
    let mut wiring = Wiring {
        config,
        warnings: &mut low.warnings,
        short_monitors: 0,
    };
    for monitor in &low.monitors {
        match monitor {
            Monitor::Long(params) => wiring
                .add_monitor(params)
                .map_err(|e| e.at(&params.origin))?,
            Monitor::Short {
                device,
                mode,
                pretty,
                origin,
            } => {
                wiring.add_short_monitor(device, *mode, *pretty, origin)?;
            }
        }
    }
    for (device, origin) in &low.serials {
        wiring
            .add_serial(device, origin)
            .map_err(|e| e.at(origin))?;
    }
    if let Some((device, origin)) = &low.qtest {
        let id = wiring.device(device, "qtest", origin)?;
        wiring.config.qtest = Some(id);
    }
    Ok(())
}

/// Asks for what was left out. Gives whether that is the whole of it, so that
/// the user should be told.
fn fill_in(low: &mut LowArgs) -> bool {
    if low.no_defaults {
        return false;
    }
    let serial = low.serials.is_empty();
    let monitor =
        low.monitors.is_empty() && !low.serials.iter().any(|(text, _)| text.starts_with("mon:"));
    let origin = Origin::default();
    let silent = low.display_none || low.daemonize || low.qtest.is_some();
    let embedded = serial && monitor && !low.nographic && !silent;
    if low.nographic || embedded {
        match (serial, monitor) {
            (true, true) => low.serials.push(("mon:stdio".to_owned(), origin.clone())),
            (true, false) => low.serials.push(("stdio".to_owned(), origin.clone())),
            (false, true) => low.monitors.push(Monitor::Short {
                device: "stdio".to_owned(),
                mode: MonitorMode::Readline,
                pretty: false,
                origin: origin.clone(),
            }),
            (false, false) => {}
        }
    } else if serial {
        low.serials.push(("null".to_owned(), origin.clone()));
    }
    if embedded {
        low.monitors.push(Monitor::Short {
            device: DEFAULT_QMP.to_owned(),
            mode: MonitorMode::Control,
            pretty: false,
            origin,
        });
    }
    embedded
}

struct Wiring<'a> {
    config: &'a mut Config,
    warnings: &'a mut Vec<Warning>,
    short_monitors: usize,
}

impl Wiring<'_> {
    fn add_monitor(&mut self, params: &Params) -> Result<()> {
        let Some(chardev) = params.text("chardev") else {
            return Err(Error::missing_parameter("chardev"));
        };
        let mode = match params.text("mode") {
            None | Some("readline") => MonitorMode::Readline,
            Some("control") => MonitorMode::Control,
            Some(other) => return Err(Error::value_not_accepted("mode", other)),
        };
        let pretty = params.boolean("pretty")?.unwrap_or(false);
        if pretty && mode == MonitorMode::Readline {
            return Err(Error::new("'pretty' is not compatible with HMP monitors"));
        }
        self.push_monitor(chardev, mode, pretty, &params.origin)
    }

    fn add_short_monitor(
        &mut self,
        device: &str,
        mode: MonitorMode,
        pretty: bool,
        origin: &Origin,
    ) -> Result<()> {
        let id = format!("compat_monitor{}", self.short_monitors);
        self.short_monitors += 1;
        let id = self.device(device, &id, origin)?;
        self.push_monitor(&id, mode, pretty, origin)
    }

    fn push_monitor(
        &mut self,
        id: &str,
        mode: MonitorMode,
        pretty: bool,
        origin: &Origin,
    ) -> Result<()> {
        let Some(chardev) = self.chardev(id) else {
            return Err(Error::new(format!("chardev \"{id}\" not found")));
        };
        if !chardev.mux
            && self
                .config
                .monitors
                .iter()
                .any(|monitor| monitor.chardev == id)
        {
            return Err(Error::new(format!("chardev '{id}' is already in use")));
        }
        let origin = origin.clone();
        self.config.monitors.push(MonitorConfig {
            chardev: id.to_owned(),
            mode,
            pretty,
            origin,
        });
        Ok(())
    }

    fn add_serial(&mut self, device: &str, origin: &Origin) -> Result<()> {
        if device == "none" {
            self.config.serials.push(None);
            return Ok(());
        }
        let id = format!("serial{}", self.config.serials.len());
        let id = self.device(device, &id, origin)?;
        if device.starts_with("mon:") {
            self.push_monitor(&id, MonitorMode::Readline, false, origin)?;
        }
        self.config.serials.push(Some(id));
        Ok(())
    }

    /// The character device that `text` means: `chardev:ID`, or one to be made
    /// and called `id`.
    fn device(&mut self, text: &str, id: &str, origin: &Origin) -> Result<String> {
        if let Some(existing) = text.strip_prefix("chardev:") {
            return match self.chardev(existing) {
                Some(_) => Ok(existing.to_owned()),
                None => Err(Error::new(format!("chardev \"{existing}\" not found")).at(origin)),
            };
        }
        let params = chardev::parse_short(text, id, origin, self.warnings)?;
        let chardev = chardev::resolve(&params)?;
        add_chardev(self.config, chardev)?;
        Ok(id.to_owned())
    }

    fn chardev(&self, id: &str) -> Option<&ChardevConfig> {
        self.config.chardevs.iter().find(|chardev| chardev.id == id)
    }
}

/// Adds a character device under an id of its own.
pub(crate) fn add_chardev(config: &mut Config, chardev: ChardevConfig) -> Result<()> {
    if config.chardevs.iter().any(|other| other.id == chardev.id) {
        let message = format!("Duplicate ID '{}' for chardev", chardev.id);
        return Err(Error::new(message).at(&chardev.origin));
    }
    config.chardevs.push(chardev);
    Ok(())
}
