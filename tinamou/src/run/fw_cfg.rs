//! What firmware and kernel are told by way of `fw_cfg`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use tinamou_devices::fw_cfg::{FwCfg, key};
use tinamou_machine::Machine;

use super::{Failure, Start};
use crate::commands::machine::reason;
use crate::devices::boot_order;
use crate::log;
use crate::options::config::{FwCfgContent, FwCfgFile};

impl Start<'_> {
    /// Says what the command line decides.
    pub(super) fn tell_firmware(&self, machine: &Machine) -> Result<(), Failure> {
        let Some(virt) = machine.virt() else {
            return self.config.fw_cfg.first().map_or(Ok(()), |file| {
                Err(Failure::at(&file.origin, "fw_cfg device not available"))
            });
        };
        let device = &virt.fw_cfg;
        let boot = &self.config.boot;
        let flag = |flag: bool| u16::from(flag).to_le_bytes().into();
        device.set(key::UUID, self.config.uuid.unwrap_or_default().into());
        device.set(key::NOGRAPHIC, flag(self.config.nographic));
        device.set(key::BOOT_MENU, flag(boot.menu == Some(true)));
        let add = |name, content| device.add_file(name, content).map_err(Failure::new);
        // There are no disks that know of cylinders.
        add("bios-geometry", Vec::new())?;
        add(boot_order::FILE, Vec::new())?;
        add("etc/boot-fail-wait", reboot_timeout(boot.reboot_timeout)?)?;
        if let Some(time) = boot.splash_time {
            add("etc/boot-menu-wait", splash_time(time)?)?;
        }
        if let Some(path) = &boot.splash {
            self.add_splash(device, path)?;
        }
        for file in &self.config.fw_cfg {
            self.add_file(device, file)?;
        }
        Ok(())
    }

    fn add_file(&self, device: &FwCfg, file: &FwCfgFile) -> Result<(), Failure> {
        let failed = |cause| Failure::at(&file.origin, cause);
        if !file.name.starts_with("opt/") {
            let advice = "externally provided fw_cfg item names should be prefixed with \"opt/\"";
            log::tell(
                self.program,
                format_args!("{}: warning: {advice}", file.origin),
            );
        }
        let content = match &file.content {
            FwCfgContent::Text(text) => text.clone().into_bytes(),
            FwCfgContent::File(path) => load(path).map_err(failed)?,
            FwCfgContent::Object(id) => return Err(failed(self.no_generator(id))),
        };
        let added = device.add_file(&file.name, content);
        added.map_err(|error| failed(error.to_string()))
    }

    /// None of our objects makes files for guests.
    fn no_generator(&self, id: &str) -> String {
        if self.objects.ids().any(|known| known == id) {
            format!("Object ID '{id}' is not a 'fw_cfg-data-generator' subclass")
        } else {
            format!("Cannot find object ID '{id}'")
        }
    }

    /// Passes the picture on; the machine starts without it when it cannot be had.
    fn add_splash(&self, device: &FwCfg, path: &Path) -> Result<(), Failure> {
        let shown = path.display();
        let Ok(content) = load(path) else {
            log::tell(self.program, format_args!("failed to find file '{shown}'"));
            return Ok(());
        };
        let name = match &content[..] {
            [0xff, 0xd8, ..] => "bootsplash.jpg",
            [b'B', b'M', ..] if content.get(28..30) == Some(&24u16.to_le_bytes()) => {
                "bootsplash.bmp"
            }
            _ => {
                let why = "format not recognized; must be JPEG or 24 bit BMP";
                log::tell(self.program, format_args!("splash file '{shown}' {why}"));
                return Ok(());
            }
        };
        device.add_file(name, content).map_err(Failure::new)
    }
}

/// Milliseconds, or that there is no such time.
fn reboot_timeout(time: Option<i64>) -> Result<Vec<u8>, Failure> {
    let time = time.unwrap_or(-1);
    if !(-1..=0xffff).contains(&time) {
        return Err(Failure::new(
            "reboot timeout is invalid,it should be a value between -1 and 65535",
        ));
    }
    Ok((time as i32).to_le_bytes().into())
}

fn splash_time(time: i64) -> Result<Vec<u8>, Failure> {
    let time = u16::try_from(time).map_err(|_| {
        Failure::new("splash-time is invalid,it should be a value between 0 and 65535")
    })?;
    Ok(time.to_le_bytes().into())
}

/// The content of a file.
fn load(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |did: &str, error| {
        let reason = reason(&error);
        format!("can't load {shown}: {did} file “{shown}”: {reason}")
    };
    let mut file = File::open(path).map_err(|error| failed("Failed to open", error))?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)
        .map_err(|error| failed("Error reading", error))?;
    Ok(content)
}
