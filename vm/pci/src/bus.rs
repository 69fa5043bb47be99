//! Buses: which functions there are, how they come and go, how their interrupt pins are wired.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use crate::fabric::Fabric;
use crate::spec::bridge;
use crate::{Error, Function, Slot};

/// The place of a function on its bus: slot and function number in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Devfn(pub u8);

impl Devfn {
    /// Function 0 of slot 0.
    pub const ZERO: Self = Self(0);

    /// A function (0 to 7) of a slot (0 to 31).
    #[must_use]
    pub const fn new(slot: u8, function: u8) -> Self {
        Self(slot << 3 | function & 7)
    }

    /// The slot, 0 to 31.
    #[must_use]
    pub const fn slot(self) -> u8 {
        self.0 >> 3
    }

    /// The function, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0 & 7
    }
}

impl fmt::Display for Devfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}.{:x}", self.slot(), self.function())
    }
}

/// What a bus is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusKind {
    /// PCI Express.
    Express,
    /// Conventional PCI.
    Conventional,
}

/// One bus and the functions on it.
pub struct PciBus {
    name: String,
    kind: BusKind,
    fabric: Arc<Fabric>,
    /// The bridge in front of it; the root bus has none.
    bridge: Option<Weak<Function>>,
    /// The hot-plug slot that the bus is, when it is one.
    slot: OnceLock<Arc<Slot>>,
    functions: Mutex<BTreeMap<Devfn, Plugged>>,
}

struct Plugged {
    function: Arc<Function>,
    hotplugged: bool,
}

impl PciBus {
    pub(crate) fn root(name: &str, fabric: Arc<Fabric>) -> Arc<Self> {
        Arc::new(Self::new(name, BusKind::Express, fabric, None))
    }

    pub(crate) fn behind(
        name: &str,
        kind: BusKind,
        fabric: Arc<Fabric>,
        bridge: Weak<Function>,
    ) -> Arc<Self> {
        Arc::new(Self::new(name, kind, fabric, Some(bridge)))
    }

    fn new(name: &str, kind: BusKind, fabric: Arc<Fabric>, bridge: Option<Weak<Function>>) -> Self {
        Self {
            name: name.into(),
            kind,
            fabric,
            bridge,
            slot: OnceLock::new(),
            functions: Mutex::default(),
        }
    }

    /// The name by which devices ask for the bus: `pcie.0`, or the id of its bridge.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the bus is made of.
    #[must_use]
    pub fn kind(&self) -> BusKind {
        self.kind
    }

    /// Whether it is the host's own bus.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.bridge.is_none()
    }

    /// The bridge in front of the bus.
    #[must_use]
    pub fn bridge(&self) -> Option<Arc<Function>> {
        self.bridge.as_ref()?.upgrade()
    }

    /// The number that the guest has given to the bus.
    #[must_use]
    pub fn number(&self) -> u8 {
        let number = |bridge: Arc<Function>| {
            bridge
                .interface()
                .config(|config| config.byte(bridge::SECONDARY_BUS))
        };
        self.bridge().map_or(0, number)
    }

    /// The function at a place, whether the guest sees it or not.
    #[must_use]
    pub fn function(&self, devfn: Devfn) -> Option<Arc<Function>> {
        let functions = self.lock();
        Some(Arc::clone(&functions.get(&devfn)?.function))
    }

    /// All functions in order.
    #[must_use]
    pub fn functions(&self) -> Vec<Arc<Function>> {
        let functions = self.lock();
        let all = functions.values();
        all.map(|plugged| Arc::clone(&plugged.function)).collect()
    }

    /// All buses from this one on, each before those behind its bridges.
    #[must_use]
    pub fn hierarchy(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let mut buses = vec![Arc::clone(self)];
        for function in self.functions() {
            if let Some(bus) = function.secondary() {
                buses.extend(bus.hierarchy());
            }
        }
        buses
    }

    /// Whether functions can come and go while the machine runs.
    #[must_use]
    pub fn supports_hotplug(&self) -> bool {
        self.hotplug_slot().is_some()
    }

    /// Plugs a function in at `devfn`, or at the first free slot. `hotplugged` says that the
    /// machine is there already: the guest is told, and sees the function when function 0 of its
    /// slot is there.
    ///
    /// # Errors
    /// The place is not to be had, or nothing can be plugged into the running machine here.
    pub fn plug(
        self: &Arc<Self>,
        devfn: Option<Devfn>,
        function: Arc<Function>,
        hotplugged: bool,
    ) -> Result<Devfn, Error> {
        if hotplugged {
            let slot = self.hotplug_slot().ok_or_else(|| self.no_hotplug())?;
            slot.check_lock()?;
        }
        let mut functions = self.lock();
        let devfn = self.choose(&functions, devfn, &function)?;
        self.check_functions(&functions, devfn, &function, hotplugged)?;
        let plugged = Plugged {
            function: Arc::clone(&function),
            hotplugged,
        };
        functions.insert(devfn, plugged);
        drop(functions);
        function.set_place(self, devfn);
        if let Some(slot) = self.slot.get() {
            slot.plugged(self, hotplugged);
        }
        self.fabric.remap();
        Ok(devfn)
    }

    /// Asks the guest to let go of a function. When it has, which may be before this returns,
    /// [`Function::on_ejected`] is told.
    ///
    /// # Errors
    /// Nothing can be unplugged here, or the guest is busy.
    pub fn unplug_request(&self, devfn: Devfn) -> Result<(), Error> {
        if self.function(devfn).is_none() {
            return Err(Error::Empty { devfn });
        }
        let slot = self.hotplug_slot().ok_or_else(|| self.no_hotplug())?;
        slot.unplug_request(self, devfn)
    }

    /// Takes a function away without asking anybody: surprise removal, or the end of a device
    /// that could not be finished.
    pub fn remove(&self, devfn: Devfn) -> Option<Arc<Function>> {
        let plugged = self.lock().remove(&devfn)?;
        plugged.function.release();
        self.fabric.remap();
        if let Some(slot) = self.slot.get().filter(|_| self.is_empty()) {
            slot.emptied();
        }
        Some(plugged.function)
    }

    /// Whether nothing is plugged in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Puts every function as at power-on.
    pub fn reset(&self) {
        for function in self.functions() {
            function.reset();
        }
    }

    /// The function at a place, if the guest sees it (PCIe 5.0 §7.5.1.1.9: function 0 first).
    pub(crate) fn visible(&self, devfn: Devfn) -> Option<Arc<Function>> {
        let functions = self.lock();
        let plugged = functions.get(&devfn)?;
        let first = Devfn::new(devfn.slot(), 0);
        let shown = !plugged.hotplugged || functions.contains_key(&first);
        let function = Arc::clone(&plugged.function);
        drop(functions);
        (shown && function.is_powered()).then_some(function)
    }

    /// Everything that the guest sees.
    pub(crate) fn visible_functions(&self) -> Vec<Arc<Function>> {
        let places: Vec<_> = self.lock().keys().copied().collect();
        places
            .into_iter()
            .filter_map(|devfn| self.visible(devfn))
            .collect()
    }

    /// Takes all functions away because the guest has let go of them.
    pub(crate) fn eject(&self) {
        let functions = std::mem::take(&mut *self.lock());
        for plugged in functions.values() {
            plugged.function.release();
        }
        self.fabric.remap();
        for plugged in functions.values() {
            plugged.function.tell_ejected();
        }
    }

    /// Takes one function away that the guest has never seen.
    pub(crate) fn eject_one(&self, devfn: Devfn) {
        let Some(plugged) = self.lock().remove(&devfn) else {
            return;
        };
        plugged.function.release();
        plugged.function.tell_ejected();
    }

    /// The host's wire behind an interrupt pin (0 for INTA): every level of the hierarchy turns
    /// pins by the slot's number (PCI-to-PCI Bridge 1.2 §9.1).
    pub(crate) fn intx_wire(&self, devfn: Devfn, pin: u8) -> Option<usize> {
        let turned = (pin + devfn.slot()) % 4;
        if self.is_root() {
            return Some(turned.into());
        }
        let bridge = self.bridge()?;
        let interface = bridge.interface();
        interface.bus()?.intx_wire(interface.devfn()?, turned)
    }

    pub(crate) fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    /// Makes the bus a hot-plug slot.
    pub(crate) fn set_slot(&self, slot: Arc<Slot>) {
        // A port is made with its slot, once.
        let _ = self.slot.set(slot);
    }

    /// The slot, if devices can come and go.
    fn hotplug_slot(&self) -> Option<&Arc<Slot>> {
        self.slot.get().filter(|slot| slot.config().hotplug)
    }

    fn no_hotplug(&self) -> Error {
        Error::NoHotplug {
            bus: self.name.clone(),
        }
    }

    fn choose(
        &self,
        functions: &BTreeMap<Devfn, Plugged>,
        devfn: Option<Devfn>,
        function: &Function,
    ) -> Result<Devfn, Error> {
        let Some(devfn) = devfn else {
            let mut slots = (0..32).map(|slot| Devfn::new(slot, 0));
            let free = slots.find(|devfn| !functions.contains_key(devfn));
            return free.ok_or_else(|| Error::Full {
                kind: function.kind().into(),
            });
        };
        match functions.get(&devfn) {
            None => Ok(devfn),
            Some(other) => Err(Error::InUse {
                devfn,
                kind: function.kind().into(),
                other: other.function.kind().into(),
                id: match other.function.id() {
                    "" => "(null)".into(),
                    id => id.into(),
                },
            }),
        }
    }

    /// What function 0 of a slot says must agree with what else is in it (PCI 3.0 §6.2.1).
    fn check_functions(
        &self,
        functions: &BTreeMap<Devfn, Plugged>,
        devfn: Devfn,
        function: &Function,
        hotplugged: bool,
    ) -> Result<(), Error> {
        let first = if self.slot.get().is_some() {
            Devfn::ZERO
        } else {
            Devfn::new(devfn.slot(), 0)
        };
        if hotplugged && let Some(first) = functions.get(&first) {
            return Err(Error::SlotOccupied {
                devfn: Devfn::ZERO,
                kind: function.kind().into(),
                other: first.function.kind().into(),
            });
        }
        let multifunction = |function: &Function| {
            function
                .interface()
                .config(|config| config.is_multifunction())
        };
        if devfn.function() != 0 {
            let first = functions.get(&Devfn::new(devfn.slot(), 0));
            return match first {
                Some(first) if !multifunction(&first.function) => {
                    Err(Error::NotMultifunction { devfn })
                }
                _ => Ok(()),
            };
        }
        let mut others = (1..8).map(|number| Devfn::new(devfn.slot(), number));
        match others.find(|other| functions.contains_key(other)) {
            Some(other) if !multifunction(function) => Err(Error::SingleFunction { devfn: other }),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Devfn, Plugged>> {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PciBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PciBus")
            .field("name", &self.name)
            .field("functions", &self.functions())
            .finish_non_exhaustive()
    }
}
