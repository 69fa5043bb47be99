//! The back ends that the command line asks for, made before the machine that
//! uses them.

use tinamou_chardev::{Backend, Chardev};

use super::{Failure, Start};
use crate::options::config::ChardevConfig;
use crate::{backends, blocks};

impl Start<'_> {
    /// Opens the character devices in order.
    pub(super) fn open_chardevs(&self) -> Result<(), Failure> {
        self.config
            .chardevs
            .iter()
            .try_for_each(|chardev| self.open_chardev(chardev))
    }

    fn open_chardev(&self, chardev: &ChardevConfig) -> Result<(), Failure> {
        let config = backends::from_options(chardev, &self.objects)
            .map_err(|error| Failure::at(&chardev.origin, error))?;
        let add = |id: &str, config| {
            let added = self.chardevs.add(id, config);
            added.map_err(|error| Failure::at(&chardev.origin, error))
        };
        if chardev.mux {
            let base = format!("{}-base", chardev.id);
            add(&base, config)?;
            add(&chardev.id, Backend::Mux { chardev: base }.into())?;
            return Ok(());
        }
        if let Some(pty) = add(&chardev.id, config)?.pty() {
            println!("char device redirected to {pty} (label {})", chardev.id);
        }
        Ok(())
    }

    /// Opens the images in order: nodes, then drives.
    pub(super) fn open_images(&self) -> Result<(), Failure> {
        for group in self.objects.throttle_groups() {
            self.blocks.add_group(group);
        }
        for config in &self.config.blockdevs {
            let added = self
                .device_thread
                .block_on(blocks::add_blockdev(&self.blocks, config));
            added.map_err(|error| Failure::at(&config.origin, error))?;
        }
        for config in &self.config.drives {
            let drive = blocks::add_drive(&self.blocks, config, |warning| eprintln!("{warning}"));
            let added = self.device_thread.block_on(drive);
            added.map_err(|error| Failure::at(&config.origin, error))?;
        }
        Ok(())
    }

    /// The character devices that a client must have come to first, and what
    /// to say meanwhile.
    pub(super) fn waiting(&self) -> Vec<(Chardev, String)> {
        let chardevs = self.config.chardevs.iter();
        chardevs
            .filter_map(|config| {
                let chardev = self.chardevs.find(&config.id)?;
                let message = format!("{}: info: {}", config.origin, chardev.waiting_message()?);
                Some((chardev, message))
            })
            .collect()
    }
}
