//! The way of a device into the machine.

use tinamou_qdev::{BusId, Kind, Referents, Refusal, Settings};
use tinamou_qmp::{Error, Result};

use super::{CLASSES, Class, Place, Plug, Request, globals};
use crate::vm::Vm;

/// Why a device cannot be plugged in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Fault {
    /// What is wrong.
    pub error: Error,
    /// What would have been possible, for a person.
    pub hint: Option<String>,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, hint: None }
    }
}

impl From<tinamou_qdev::BusPath> for Fault {
    fn from(path: tinamou_qdev::BusPath) -> Self {
        Self {
            error: path.error,
            hint: path.hint,
        }
    }
}

impl Vm {
    /// Plugs a device in; `hotplug` if the machine is complete already.
    ///
    /// # Errors
    /// It cannot be made, or there is no place for it.
    pub fn plug(&mut self, request: &Request, hotplug: bool) -> Result<(), Fault> {
        let class = model(request.driver.as_deref(), hotplug)?;
        let bus = self.find_bus(request, class)?;
        if let Some(bus) = bus {
            self.check_hotplug(bus, hotplug)?;
        }
        let id = request.id.as_deref();
        if let Some(id) = id
            && self.devices.topology.find_id(id).is_some()
        {
            return Err(Error::generic(format!("Duplicate device ID '{id}'")).into());
        }
        // QEMU counts those that fail from here on.
        let (place, path) = match id {
            Some(id) => (Place::Named(id), format!("/machine/peripheral/{id}")),
            None => {
                let number = self.devices.next_anonymous();
                let path = format!("/machine/peripheral-anon/device[{number}]");
                (Place::Anonymous(number), path)
            }
        };
        let plug = Plug {
            class,
            id,
            path: &path,
            bus,
            settings: &self.settings(request, class)?,
            hotplugged: hotplug,
            ticket: self.devices.new_ticket(),
        };
        self.realize(&plug, place).map_err(Fault::from)
    }

    fn find_bus(&self, request: &Request, class: &'static Class) -> Result<Option<BusId>, Fault> {
        let topology = &self.devices.topology;
        let wanted = CLASSES.bus(class);
        let name = class.name;
        let Some(path) = &request.bus else {
            let Some(wanted) = wanted else {
                return Ok(None);
            };
            let none = || Error::generic(format!("No '{wanted}' bus found for device '{name}'"));
            return Ok(Some(topology.free_bus(wanted).ok_or_else(none)?));
        };
        let bus = topology.find_bus(path)?;
        let kind = topology.bus(bus).kind;
        if wanted.is_some_and(|wanted| !kind.is_a(wanted)) {
            let kind = kind.name;
            let refused = format!("Device '{name}' can't go on {kind} bus");
            return Err(Error::generic(refused).into());
        }
        Ok(Some(bus))
    }

    fn check_hotplug(&self, bus: BusId, hotplug: bool) -> Result<()> {
        let bus = self.devices.topology.bus(bus);
        if hotplug && !bus.hotpluggable {
            return Err(no_hotplug(&bus.name));
        }
        Ok(())
    }

    fn settings(&self, request: &Request, class: &'static Class) -> Result<Settings> {
        let mut settings = Settings::default();
        globals::apply(&self.config.globals, class, self, &mut settings)?;
        for (name, given) in &request.properties {
            let (owner, spec) = CLASSES
                .property(class, name)
                .ok_or_else(|| unknown(class, name))?;
            let value = spec.kind.read(owner.name, name, given.clone(), self)?;
            settings.put(name, value);
        }
        Ok(settings)
    }

    fn realize(&mut self, plug: &Plug<'_>, place: Place<'_>) -> Result<()> {
        let Some(make) = plug.class.make else {
            return Err(Error::expects(Some("driver"), "a pluggable device type"));
        };
        let made = make(self, plug)?;
        let device = self.devices.insert(
            &mut self.qom,
            place,
            plug.class,
            plug.bus,
            plug.hotplugged,
            made,
        )?;
        self.devices.set_ticket(device, &plug.ticket);
        self.update_boot_order();
        Ok(())
    }
}

/// The error of a bus that nothing can be plugged into or out of now.
pub(super) fn no_hotplug(bus: &str) -> Error {
    Error::generic(format!("Bus '{bus}' does not support hotplugging"))
}

fn model(driver: Option<&str>, hotplug: bool) -> Result<&'static Class> {
    let driver = driver.ok_or_else(|| Error::missing_parameter("driver"))?;
    let class = CLASSES
        .model(driver)
        .ok_or_else(|| Error::generic(format!("'{driver}' is not a valid device model name")))?;
    if class.is_abstract {
        return Err(Error::expects(Some("driver"), "a non-abstract device type"));
    }
    if !CLASSES.is_user_creatable(class) || (hotplug && !CLASSES.is_hotpluggable(class)) {
        return Err(Error::expects(Some("driver"), "a pluggable device type"));
    }
    Ok(class)
}

fn unknown(class: &'static Class, name: &str) -> Error {
    let fixed = [
        "type",
        "parent_bus",
        "realized",
        "hotplugged",
        "hotpluggable",
    ];
    let inner = CLASSES.inner(class);
    let is_child = name == "virtio-backend" && inner.is_some();
    let shown = |class: &&Class| class.live.iter().any(|(live, _)| *live == name);
    let owner = inner.filter(shown);
    let fault = if fixed.contains(&name) || is_child || owner.is_some() {
        "is not writable"
    } else {
        "not found"
    };
    let class = owner.unwrap_or(class).name;
    Error::generic(format!("Property '{class}.{name}' {fault}"))
}

/// What devices may refer to.
impl Referents for Vm {
    fn check(&self, kind: Kind, name: &str) -> Result<(), Refusal> {
        match kind {
            Kind::Chardev => match self.chardevs.find(name) {
                Some(_) => Ok(()),
                None => Err(Refusal::NotFound),
            },
            Kind::Netdev => match self.network.is_free(name) {
                Some(true) => Ok(()),
                Some(false) => Err(Refusal::InUse),
                None => Err(Refusal::NotFound),
            },
            Kind::Drive => {
                match self.blocks.drive(name).is_some() || self.blocks.find(name).is_some() {
                    true => Ok(()),
                    false => Err(Refusal::NotFound),
                }
            }
            Kind::Link(wanted) => {
                let object = self.qom.resolve(name).map_err(Refusal::Error)?;
                let of_type = self.types.find(self.qom.kind(object));
                if of_type.is_some_and(|kind| self.types.implements(kind, wanted)) {
                    return Ok(());
                }
                Err(Refusal::WrongType)
            }
            _ => Err(Refusal::NotFound),
        }
    }
}
