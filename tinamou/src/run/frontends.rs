//! What the command line puts in front of character devices: monitors, serial
//! ports, the qtest socket.

use std::fs::File;
use std::io::{Write, stderr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use tinamou_chardev::{Clients, Frontend};
use tinamou_monitor::Mode;
use tinamou_qmp::json::Style;

use super::{Failure, Start};
use crate::options::config::{ChardevBackend, MonitorConfig, MonitorMode};
use crate::qtest::Qtest;
use crate::serial::SerialPort;

/// Clients that one monitor serves at once unless its socket says otherwise.
const CLIENTS: usize = 1024;

/// The users of character devices.
pub(super) struct Frontends {
    /// Where each monitor's clients come from.
    pub(super) monitors: Vec<(Frontend, Mode)>,
    /// The board's serial port.
    pub(super) serial: Option<Arc<SerialPort>>,
    /// The qtest socket.
    pub(super) qtest: Option<Qtest>,
}

impl Start<'_> {
    /// Claims the character devices for their users. At a multiplexer the last
    /// to come has the input at first, and that is the guest's console.
    pub(super) fn claim_frontends(&self) -> Result<Frontends, Failure> {
        let monitors = self.config.monitors.iter();
        Ok(Frontends {
            monitors: monitors
                .map(|monitor| self.claim_monitor(monitor))
                .collect::<Result<_, _>>()?,
            serial: self.claim_serial()?,
            qtest: self.claim_qtest()?,
        })
    }

    fn claim(&self, id: &str, clients: Clients) -> Result<Frontend, Failure> {
        let chardev = self
            .chardevs
            .find(id)
            .ok_or_else(|| Failure(format!("chardev \"{id}\" not found")))?;
        chardev.claim(clients).map_err(Failure::new)
    }

    fn claim_monitor(&self, monitor: &MonitorConfig) -> Result<(Frontend, Mode), Failure> {
        let style = if monitor.pretty {
            Style::Pretty
        } else {
            Style::Compact
        };
        let mode = match monitor.mode {
            MonitorMode::Readline => Mode::Readline,
            MonitorMode::Control => Mode::Control { style, oob: true },
        };
        let clients = Clients::Many(self.max_clients(&monitor.chardev));
        let frontend = self
            .claim(&monitor.chardev, clients)
            .map_err(|error| Failure::at(&monitor.origin, error))?;
        Ok((frontend, mode))
    }

    fn max_clients(&self, id: &str) -> NonZeroUsize {
        let chardev = self.config.chardevs.iter().find(|chardev| chardev.id == id);
        let wanted = chardev.and_then(|chardev| match &chardev.backend {
            ChardevBackend::Socket(socket) => socket.max_clients,
            _ => None,
        });
        let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
        NonZeroUsize::new(wanted.unwrap_or(CLIENTS)).unwrap_or(NonZeroUsize::MIN)
    }

    fn claim_serial(&self) -> Result<Option<Arc<SerialPort>>, Failure> {
        let Some(Some(id)) = self.config.serials.first() else {
            return Ok(None);
        };
        if !self.config.machine.kind.has_serial() {
            return Ok(None);
        }
        let frontend = self.claim(id, SerialPort::CLIENTS)?;
        Ok(Some(Arc::new(SerialPort::new(frontend))))
    }

    fn claim_qtest(&self) -> Result<Option<Qtest>, Failure> {
        let Some(id) = &self.config.qtest else {
            return Ok(None);
        };
        let log: Option<Box<dyn Write>> = match &self.config.qtest_log {
            None => Some(Box::new(stderr())),
            Some(path) if path.as_os_str() == "none" => None,
            Some(path) => Some(Box::new(File::create(path).map_err(Failure::new)?)),
        };
        let frontend = self.claim(id, Clients::One)?;
        Ok(Some(Qtest::new(frontend, self.io, log)))
    }
}
