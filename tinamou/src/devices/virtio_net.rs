//! The network card.

use tinamou_api as api;
use tinamou_net::{MacAddress, NicConfig};
use tinamou_qdev::{Category, Given, MacAddr, Properties};
use tinamou_qmp::{Error, Result};
use tinamou_virtio::Virtio;
use tinamou_virtio::net::{Net, NetProperties};

use super::virtio::{self, Core, Plain};
use super::virtio_pci::{self, Family, NotifyProperties};
use super::{Class, Fault, Made, Plug, Request};
use crate::netdevs;
use crate::options::config;
use crate::vm::Vm;

/// The device in a slot of the board.
pub const DEVICE: Class = Class {
    properties: &[NetProperties::SPECS],
    category: Some(Category::Network),
    make: Some(|vm, plug| virtio::on_slot(vm, plug, core)),
    ..Class::new("virtio-net-device", "virtio-device")
};

/// The device behind PCI: an Ethernet controller, with a vector for each queue, that of commands
/// among them, and one more.
const FAMILY: Family = Family {
    inner: &DEVICE,
    core,
    class: 0x0200,
    vectors: |vm, settings| {
        let netdev = settings.fill::<NetProperties>().netdev;
        let pairs = netdev.and_then(|id| vm.network.queues(&id));
        2 * pairs.unwrap_or(1) as u32 + 2
    },
};

virtio_pci::classes! {
    "virtio-net-pci",
    alias: Some("virtio-net"),
    category: Category::Network,
    properties: &[NotifyProperties::SPECS],
    FAMILY
}

/// Makes the device for any transport.
pub fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64) -> Result<Core> {
    let mut properties: NetProperties = plug.settings.fill();
    check(&properties)?;
    let given = Some(MacAddress(properties.mac.0)).filter(|mac| *mac != MacAddress::default());
    let nic = NicConfig {
        id: plug.id.map(str::to_owned),
        model: plug.class.name.to_owned(),
        mac: given,
        netdev: properties.netdev.clone().filter(|id| !id.is_empty()),
    };
    let nic = vm.network.add_nic(nic).map_err(netdevs::wire)?;
    properties.mac = MacAddr(nic.mac().0);
    let values = [properties.values(), virtio::values(plug.settings)].concat();
    let changed = filter_changed(vm, plug);
    let rings = virtio::rings(plug.settings);
    let make = |port| Net::new(port, nic, properties, changed);
    Ok(Core {
        virtio: Virtio::new(virtio::site(vm), &rings, transport, make),
        made: Made::new(Plain, values),
    })
}

/// What tells the monitors that the guest has changed what the card lets in.
fn filter_changed(vm: &Vm, plug: &Plug<'_>) -> impl Fn() + Send + Sync + 'static {
    let events = vm.events.clone();
    let name = plug.id.map(str::to_owned);
    // The device is inside a function, if it is not in a slot of the board.
    let path = match plug.class.name == DEVICE.name {
        true => plug.path.to_owned(),
        false => format!("{}/virtio-backend", plug.path),
    };
    move || {
        events.emit(&api::NicRxFilterChangedEvent {
            name: name.clone(),
            path: path.clone(),
        });
    }
}

/// Plugs in a card that `-nic` or `-net nic` asks for.
///
/// # Errors
/// There is no such model, or it cannot be made.
pub fn add_nic(vm: &mut Vm, card: &config::NicConfig) -> Result<(), Fault> {
    let text = |text: &str| Given::Text(text.to_owned());
    let mut properties = vec![("netdev".to_owned(), text(&card.netdev))];
    if let Some(mac) = &card.mac {
        if mac.parse::<MacAddr>().is_err() {
            return Err(Error::generic("invalid syntax for ethernet address").into());
        }
        properties.push(("mac".to_owned(), text(mac)));
    }
    let model = card.model.as_deref().unwrap_or(PCI.name);
    let request = Request {
        driver: Some(model.to_owned()),
        properties,
        ..Request::default()
    };
    vm.plug(&request, false)
}

fn check(properties: &NetProperties) -> Result<()> {
    for (name, size) in [
        ("rx_queue_size", properties.rx_queue_size),
        ("tx_queue_size", properties.tx_queue_size),
    ] {
        if !(256..=1024).contains(&size) || !size.is_power_of_two() {
            return Err(Error::generic(format!(
                "Invalid {name} (= {size}), must be a power of 2 between 256 and 1024."
            )));
        }
    }
    if let Some(duplex) = &properties.duplex
        && duplex != "half"
        && duplex != "full"
    {
        return Err(Error::generic("'duplex' must be 'half' or 'full'"));
    }
    Ok(())
}
