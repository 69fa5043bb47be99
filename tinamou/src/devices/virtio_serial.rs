//! Serial ports and consoles of virtio: the device, its bus, and the ports on it.

use std::sync::{Arc, OnceLock, Weak};

use tinamou_api as api;
use tinamou_chardev::{Chardev, Clients, SerialEvent, SerialPipe};
use tinamou_qdev::{BusKind, Category, Kind, Properties, properties};
use tinamou_qmp::{Error, Result};
use tinamou_virtio::Virtio;
use tinamou_virtio::serial::spec::PORTS_MAX;
use tinamou_virtio::serial::{Backend, Observer, PortConfig, Serial};

use super::virtio::{self, Core, Plain};
use super::virtio_pci::{self, Family, NotifyTwoProperties};
use super::{Class, Made, MadeBus, Plug, Plugged};
use crate::vm::Vm;

properties! {
    /// What the device takes.
    pub struct SerialProperties {
        /// How many ports it can have.
        pub max_ports: u32 = 31 => "max_ports";
        /// Let a guest write single bytes before it has set up anything.
        pub emergency_write: bool = true => "emergency-write";
    }
}

properties! {
    /// The PCI class, which old machines had another of.
    pub struct ClassProperties {
        /// The class; 0 for the usual one.
        pub class: u32 = 0 => "class";
    }
}

properties! {
    /// What every port takes.
    pub struct PortProperties {
        /// Its number; all ones for the next free one.
        pub nr: u32 = u32::MAX => "nr";
        /// By what name the guest finds it.
        pub name: Option<String> = None => "name";
    }
}

properties! {
    /// What a port with a character device takes.
    pub struct ChardevProperties {
        /// What is behind it.
        pub chardev: Option<String> = None => "chardev" as Kind::Chardev;
    }
}

/// The device in a slot of the board.
pub const DEVICE: Class = Class {
    properties: &[SerialProperties::SPECS],
    category: Some(Category::Input),
    make: Some(|vm, plug| virtio::on_slot(vm, plug, core)),
    interfaces: &["hotplug-handler"],
    ..Class::new("virtio-serial-device", "virtio-device")
};

/// The device behind PCI.
const FAMILY: Family = Family {
    inner: &DEVICE,
    core,
    class: 0x0780,
    vectors: |_, _| 2,
};

virtio_pci::classes! {
    "virtio-serial-pci",
    alias: Some("virtio-serial"),
    category: Category::Input,
    properties: &[NotifyTwoProperties::SPECS, ClassProperties::SPECS],
    FAMILY
}

/// Every port.
pub const PORT_BASE: Class = Class {
    properties: &[PortProperties::SPECS],
    bus: Some("virtio-serial-bus"),
    category: Some(Category::Input),
    ..Class::base("virtio-serial-port", "device")
};

/// A port that a program in the guest opens by its name.
pub const PORT: Class = Class {
    properties: &[ChardevProperties::SPECS],
    make: Some(|vm, plug| make_port(vm, plug, false)),
    ..Class::new("virtserialport", "virtio-serial-port")
};

/// A port that is a terminal in the guest.
pub const CONSOLE: Class = Class {
    make: Some(|vm, plug| make_port(vm, plug, true)),
    ..Class::new("virtconsole", "virtserialport")
};

/// The bus that ports go on.
pub static SERIAL_BUS: BusKind = BusKind {
    name: "virtio-serial-bus",
    parent: None,
    capacity: None,
};

/// Makes the device for any transport.
pub fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64) -> Result<Core> {
    let properties: SerialProperties = plug.settings.fill();
    let max_ports = properties.max_ports;
    if max_ports == 0 {
        return Err(Error::generic(
            "Maximum number of serial ports not specified",
        ));
    }
    if max_ports > PORTS_MAX {
        return Err(Error::generic(format!(
            "maximum ports supported: {PORTS_MAX}"
        )));
    }
    let rings = virtio::rings(plug.settings);
    let mut serial = None;
    let virtio = Virtio::new(virtio::site(vm), &rings, transport, |port| {
        let made = Serial::new(port, max_ports, properties.emergency_write);
        Arc::clone(serial.insert(made))
    });
    let serial = serial.expect("the device was just made");
    let values = [properties.values(), virtio::values(plug.settings)].concat();
    let mut made = Made::new(Plain, values);
    made.buses.push(MadeBus {
        kind: &SERIAL_BUS,
        name: plug.id.map(|id| format!("{id}.0")),
        hotpluggable: true,
        handle: Box::new(serial),
        inner: None,
    });
    Ok(Core { virtio, made })
}

/// Who is told by a port's character device: the port, once it has a number.
type Told = Arc<OnceLock<(Weak<Serial>, u32)>>;

fn make_port(vm: &mut Vm, plug: &Plug<'_>, is_console: bool) -> Result<Made> {
    let properties: PortProperties = plug.settings.fill();
    let behind: ChardevProperties = plug.settings.fill();
    let serial = plug
        .bus
        .and_then(|bus| vm.devices.bus_handle::<Arc<Serial>>(bus))
        .cloned()
        .ok_or_else(|| {
            let name = plug.class.name;
            Error::generic(format!(
                "No 'virtio-serial-bus' bus found for device '{name}'"
            ))
        })?;
    let chardev = behind.chardev.as_deref().filter(|id| !id.is_empty());
    let chardev = chardev.and_then(|id| vm.chardevs.find(id));
    let told = Told::default();
    let pipe = chardev.as_ref().map(|chardev| claim(plug, chardev, &told));
    let pipe = pipe.transpose()?;
    if let Some(chardev) = chardev.as_ref().filter(|_| !is_console) {
        // The guest has not opened it yet.
        chardev.set_frontend_open(false);
    }
    let backend = pipe.clone().map(|pipe| Box::new(Pipe(pipe)) as _);
    let config = PortConfig {
        number: Some(properties.nr).filter(|number| *number != u32::MAX),
        name: properties.name.clone().filter(|name| !name.is_empty()),
        is_console,
        backend,
        observer: observer(vm, plug, chardev.clone().filter(|_| !is_console)),
    };
    let added = serial.add_port(config);
    let number = added.map_err(|error| Error::generic(error.to_string()))?;
    // Nobody else has the cell.
    let _ = told.set((Arc::downgrade(&serial), number));
    if let Some(chardev) = &chardev {
        serial.set_host_connected(number, chardev.is_connected());
        serial.readable(number);
    }
    let properties = PortProperties {
        nr: number,
        ..properties
    };
    let values = [behind.values(), properties.values()].concat();
    Ok(Made::new(OnBus { serial, number }, values))
}

/// Claims a character device for a port.
fn claim(plug: &Plug<'_>, chardev: &Chardev, told: &Told) -> Result<Arc<SerialPipe>> {
    let frontend = chardev.claim(Clients::One).map_err(|_| {
        let (class, id) = (plug.class.name, chardev.label());
        let used = tinamou_chardev::Error::InUse(id.to_owned());
        Error::generic(format!(
            "Property '{class}.chardev' can't take value '{id}': {used}"
        ))
    })?;
    let told = Arc::clone(told);
    Ok(Arc::new(SerialPipe::new(frontend, move |event| {
        let Some((serial, number)) = told.get() else {
            return;
        };
        let Some(serial) = serial.upgrade() else {
            return;
        };
        match event {
            SerialEvent::Opened => serial.set_host_connected(*number, true),
            SerialEvent::Closed => serial.set_host_connected(*number, false),
            SerialEvent::Input => serial.readable(*number),
            SerialEvent::Writable => serial.writable(*number),
            _ => {}
        }
    })))
}

/// Tells the monitors, and the character device, what the guest does with its side.
fn observer(vm: &Vm, plug: &Plug<'_>, chardev: Option<Chardev>) -> Observer {
    let events = vm.events.clone();
    let id = plug.id.map(str::to_owned);
    Box::new(move |open| {
        if let Some(chardev) = &chardev {
            chardev.set_frontend_open(open);
        }
        if let Some(id) = id.clone() {
            events.emit(&api::VserportChangeEvent { id, open });
        }
    })
}

/// A character device as what is behind a port.
struct Pipe(Arc<SerialPipe>);

impl Backend for Pipe {
    fn write(&self, bytes: &[u8]) -> usize {
        self.0.write(bytes)
    }

    fn read(&self, bytes: &mut [u8]) -> usize {
        self.0.read(bytes)
    }
}

/// A port as the main loop sees it.
struct OnBus {
    serial: Arc<Serial>,
    number: u32,
}

impl Plugged for OnBus {
    fn details(&self) -> Vec<String> {
        let state = self.serial.port_state(self.number).unwrap_or_default();
        let word = |on| if on { "on" } else { "off" };
        vec![format!(
            "port {}, guest {}, host {}, throttle {}",
            self.number,
            word(state.guest_connected),
            word(state.host_connected),
            word(state.throttled)
        )]
    }

    fn remove(self: Box<Self>, _: &mut Vm) {
        self.serial.remove_port(self.number);
    }
}
