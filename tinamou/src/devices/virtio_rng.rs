//! The entropy device.

use std::sync::Arc;
use std::time::Duration;

use tinamou_qdev::{Category, Kind, Properties, properties};
use tinamou_qmp::{Error, Result, Value};
use tinamou_virtio::Virtio;
use tinamou_virtio::rng::{Entropy, Rate, Rng};

use super::virtio::{self, Core, Plain};
use super::virtio_pci::{self, Family, NotifyProperties};
use super::{Class, Made, Plug};
use crate::vm::Vm;

properties! {
    /// What an entropy device takes.
    pub struct RngProperties {
        /// The most bytes in a period.
        pub max_bytes: u64 = i64::MAX as u64 => "max-bytes";
        /// How long a period is, in milliseconds.
        pub period: u32 = 1 << 16 => "period";
        /// Where the bytes come from; the host's generator unless given.
        pub rng: Option<String> = None => "rng" as Kind::Link("rng-backend");
    }
}

/// The device in a slot of the board.
pub const DEVICE: Class = Class {
    properties: &[RngProperties::SPECS],
    category: Some(Category::Misc),
    make: Some(|vm, plug| virtio::on_slot(vm, plug, core)),
    ..Class::new("virtio-rng-device", "virtio-device")
};

/// The device behind PCI.
const FAMILY: Family = Family {
    inner: &DEVICE,
    core,
    class: 0x00ff,
    vectors: |_, _| 2,
};

virtio_pci::classes! {
    "virtio-rng-pci",
    alias: Some("virtio-rng"),
    category: Category::Misc,
    properties: &[NotifyProperties::SPECS],
    FAMILY
}

/// Makes the device for any transport.
pub fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64) -> Result<Core> {
    let properties: RngProperties = plug.settings.fill();
    if !(1..=i64::MAX as u64).contains(&properties.max_bytes) {
        return Err(Error::generic(
            "'max-bytes' parameter must be positive, and less than 2^63",
        ));
    }
    let source = match properties.rng.as_deref() {
        None | Some("") => Arc::new(Entropy::Builtin),
        Some(path) => {
            let source = vm.objects.entropy(&vm.qom, path);
            source.ok_or_else(|| Error::device_not_found(path))?
        }
    };
    let rate = Rate {
        max_bytes: properties.max_bytes,
        period: Duration::from_millis(properties.period.into()),
    };
    let rings = virtio::rings(plug.settings);
    let make = |port| Rng::new(port, source, rate);
    Ok(Core {
        virtio: Virtio::new(virtio::site(vm), &rings, transport, make),
        made: Made::new(Plain, values(plug, &properties)),
    })
}

fn values(plug: &Plug<'_>, own: &RngProperties) -> Vec<(&'static str, Value)> {
    [own.values(), virtio::values(plug.settings)].concat()
}
