//! A function: its configuration space, what is behind its bars, and its place on a bus.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use crate::bus::{Devfn, PciBus};
use crate::config::{ConfigSpace, MsixLayout, ROM_BAR};
use crate::fabric::Fabric;
use crate::interrupts::{Interrupts, Message, Mode, Msix};
use crate::spec::header;

/// What is behind a function's bars.
///
/// Accesses come from several harts at once; a device keeps its state behind its own small lock.
/// None of these is called with a lock of this crate held.
pub trait PciFunction: Send + Sync {
    /// Answers a load of 1, 2 or 4 bytes at `offset` of a bar.
    fn bar_read(&self, bar: u8, offset: u64, size: u8) -> u64;

    /// Takes a store of 1, 2 or 4 bytes at `offset` of a bar.
    fn bar_write(&self, bar: u8, offset: u64, size: u8, value: u64);

    /// Comes before the guest reads configuration space, for registers whose values come from
    /// elsewhere: they are refreshed through [`Interface::config`].
    fn config_read(&self, _offset: u16, _size: u8) {}

    /// Comes after the guest has written `value` to configuration space.
    fn config_written(&self, _offset: u16, _size: u8, _value: u32) {}

    /// Puts the device as at power-on; its configuration space has been put so already.
    fn reset(&self) {}

    /// The function has left its bus for good.
    fn removed(&self) {}
}

/// What a device has of its function: configuration space and interrupts. Clones are the same.
#[derive(Clone)]
pub struct Interface(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
}

struct State {
    config: ConfigSpace,
    interrupts: Interrupts,
    /// The host's INTx wire that is held up at present.
    driven: Option<usize>,
    /// Where it is plugged in.
    place: Option<Place>,
}

/// Where a function is plugged in.
#[derive(Clone)]
struct Place {
    bus: Weak<PciBus>,
    fabric: Arc<Fabric>,
    devfn: Devfn,
}

impl Interface {
    /// Works on the configuration space, from the device's side.
    pub fn config<R>(&self, work: impl FnOnce(&mut ConfigSpace) -> R) -> R {
        work(&mut self.lock().config)
    }

    /// Sets the level of the function's interrupt pin.
    pub fn set_intx(&self, level: bool) {
        let mut state = self.lock();
        if state.interrupts.level != level {
            state.interrupts.level = level;
            state.drive();
        }
    }

    /// The level that the device gives its pin.
    #[must_use]
    pub fn intx(&self) -> bool {
        self.lock().interrupts.level
    }

    /// Sends the message of a vector of MSI-X or MSI, or notes it while it is masked. False if
    /// the guest has turned on neither, so that the pin is to be used.
    pub fn notify(&self, vector: u16) -> bool {
        let mut state = self.lock();
        let State {
            config, interrupts, ..
        } = &mut *state;
        if interrupts.mode(config) == Mode::Pin {
            return false;
        }
        let message = interrupts.notify(config, vector);
        let fabric = state.outlet();
        drop(state);
        send(fabric.as_deref(), message);
        true
    }

    /// Whether the guest has turned on MSI-X.
    #[must_use]
    pub fn msix_enabled(&self) -> bool {
        let state = self.lock();
        state.interrupts.mode(&state.config) == Mode::Msix
    }

    /// Whether the guest has turned on MSI-X or MSI.
    #[must_use]
    pub fn messages_enabled(&self) -> bool {
        let state = self.lock();
        state.interrupts.mode(&state.config) != Mode::Pin
    }

    /// Whether the function may access memory.
    #[must_use]
    pub fn is_bus_master(&self) -> bool {
        self.lock().config.is_bus_master()
    }

    /// The function's place while it is plugged in.
    #[must_use]
    pub fn devfn(&self) -> Option<Devfn> {
        self.lock().place.as_ref().map(|place| place.devfn)
    }

    /// The bus that the function is plugged into.
    #[must_use]
    pub fn bus(&self) -> Option<Arc<PciBus>> {
        self.lock().place.as_ref()?.bus.upgrade()
    }

    fn new(mut config: ConfigSpace, msix: Option<MsixLayout>) -> Self {
        config.seal();
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                config,
                interrupts: Interrupts {
                    msix: msix.map(Msix::new),
                    level: false,
                },
                driven: None,
                place: None,
            }),
        }))
    }

    /// Brings pin and pending messages into line with configuration space.
    fn settle(&self) {
        let mut state = self.lock();
        state.drive();
        let State {
            config, interrupts, ..
        } = &mut *state;
        let messages = interrupts.take_pending(config);
        let fabric = state.outlet();
        drop(state);
        send(fabric.as_deref(), messages);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drives the pin: the function's lock is held on the way to the interrupt controller, so
    /// that levels arrive in order.
    fn drive(&mut self) {
        let level = self.interrupts.pin(&mut self.config);
        let pin = self.config.byte(header::INTERRUPT_PIN);
        let Some(place) = self.place.as_ref().filter(|_| (1..=4).contains(&pin)) else {
            return;
        };
        match (level, self.driven) {
            (true, None) => {
                let bus = place.bus.upgrade();
                self.driven = bus.and_then(|bus| bus.intx_wire(place.devfn, pin - 1));
                if let Some(wire) = self.driven {
                    place.fabric.intx.raise(wire);
                }
            }
            (false, Some(wire)) => {
                self.driven = None;
                place.fabric.intx.lower(wire);
            }
            _ => {}
        }
    }

    /// Where messages leave, if the function may send any: they are writes to memory.
    fn outlet(&self) -> Option<Arc<Fabric>> {
        let place = self.place.as_ref()?;
        self.config
            .is_bus_master()
            .then(|| Arc::clone(&place.fabric))
    }
}

fn send(fabric: Option<&Fabric>, messages: impl IntoIterator<Item = Message>) {
    let Some(fabric) = fabric else { return };
    for message in messages {
        fabric.messages.send(message.address, message.data);
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interface")
            .field("devfn", &self.devfn())
            .finish_non_exhaustive()
    }
}

/// A function as its bus has it.
pub struct Function {
    kind: String,
    id: String,
    interface: Interface,
    device: Arc<dyn PciFunction>,
    secondary: OnceLock<Arc<PciBus>>,
    /// Whether its slot gives it power.
    powered: AtomicBool,
    ejected: OnceLock<OnEjected>,
}

type OnEjected = Box<dyn Fn() + Send + Sync>;

impl Function {
    /// A function of a class (`virtio-net-pci`) with the user's id, or none. `device` makes what
    /// is behind it from its side of the bus; `msix` are the tables that `config` announces.
    pub fn new(
        kind: impl Into<String>,
        id: impl Into<String>,
        config: ConfigSpace,
        msix: Option<MsixLayout>,
        device: impl FnOnce(Interface) -> Arc<dyn PciFunction>,
    ) -> Arc<Self> {
        let interface = Interface::new(config, msix);
        let device = device(interface.clone());
        Arc::new(Self::from_parts(kind.into(), id.into(), interface, device))
    }

    /// A bridge: its device and the bus behind it are made knowing the function.
    pub(crate) fn new_bridge(
        kind: &str,
        id: &str,
        config: ConfigSpace,
        msix: Option<MsixLayout>,
        parts: impl FnOnce(Interface, &Weak<Self>) -> (Arc<dyn PciFunction>, Arc<PciBus>),
    ) -> Arc<Self> {
        let interface = Interface::new(config, msix);
        Arc::new_cyclic(|function| {
            let (device, bus) = parts(interface.clone(), function);
            let function = Self::from_parts(kind.into(), id.into(), interface, device);
            // It is empty as yet.
            let _ = function.secondary.set(bus);
            function
        })
    }

    fn from_parts(
        kind: String,
        id: String,
        interface: Interface,
        device: Arc<dyn PciFunction>,
    ) -> Self {
        Self {
            kind,
            id,
            interface,
            device,
            secondary: OnceLock::new(),
            powered: AtomicBool::new(true),
            ejected: OnceLock::new(),
        }
    }

    /// The class.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The user's id, or nothing.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The device's side of the function.
    #[must_use]
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// What is behind the bars.
    #[must_use]
    pub fn device(&self) -> &Arc<dyn PciFunction> {
        &self.device
    }

    /// The bus behind a bridge.
    #[must_use]
    pub fn secondary(&self) -> Option<&Arc<PciBus>> {
        self.secondary.get()
    }

    /// Says who is told when the guest has let go of the function, which has left its bus then.
    /// It may be called from any thread and must return at once; the first caller is heard.
    pub fn on_ejected(&self, ejected: impl Fn() + Send + Sync + 'static) {
        let _ = self.ejected.set(Box::new(ejected));
    }

    /// Loads from configuration space as the guest does; `size` is 1, 2 or 4.
    #[must_use]
    pub fn config_read(&self, offset: u16, size: u8) -> u32 {
        self.device.config_read(offset, size);
        self.interface.config(|config| config.value(offset, size))
    }

    /// Stores to configuration space as the guest does; `size` is 1, 2 or 4.
    pub fn config_write(&self, offset: u16, size: u8, value: u32) {
        let effects = self
            .interface
            .config(|config| config.write(offset, size, value));
        if effects.function_reset {
            self.reset();
        }
        if effects.interrupts {
            self.interface.settle();
        }
        if effects.decoding {
            self.remap();
        }
        self.device.config_written(offset, size, value);
    }

    /// Loads from a bar as the guest does.
    #[must_use]
    pub fn bar_read(&self, bar: u8, offset: u64, size: u8) -> u64 {
        if size > 4 {
            let high = self.bar_read(bar, offset + 4, 4) << 32;
            return self.bar_read(bar, offset, 4) | high;
        }
        let state = self.interface.lock();
        if bar == ROM_BAR {
            return state.config.rom(offset, size);
        }
        let table = state.interrupts.msix.as_ref();
        let value = table.and_then(|table| table.read(bar, offset, size));
        drop(state);
        value.unwrap_or_else(|| self.device.bar_read(bar, offset, size))
    }

    /// Stores to a bar as the guest does.
    pub fn bar_write(&self, bar: u8, offset: u64, size: u8, value: u64) {
        if size > 4 {
            self.bar_write(bar, offset, 4, value & u64::from(u32::MAX));
            self.bar_write(bar, offset + 4, 4, value >> 32);
            return;
        }
        if bar == ROM_BAR {
            return;
        }
        let mut state = self.interface.lock();
        let table = state.interrupts.msix.as_mut();
        let taken = table.is_some_and(|table| table.write(bar, offset, size, value));
        drop(state);
        if taken {
            self.interface.settle();
        } else {
            self.device.bar_write(bar, offset, size, value);
        }
    }

    /// Puts the function as at power-on, and all behind it.
    pub fn reset(&self) {
        let mut state = self.interface.lock();
        state.config.reset();
        state.interrupts.level = false;
        if let Some(msix) = &mut state.interrupts.msix {
            msix.reset();
        }
        state.drive();
        drop(state);
        if let Some(bus) = self.secondary.get() {
            bus.reset();
        }
        self.device.reset();
        self.remap();
    }

    /// Whether the slot gives the function power; without it the guest sees nothing of it.
    pub(crate) fn is_powered(&self) -> bool {
        self.powered.load(Ordering::Acquire)
    }

    /// Gives or takes power; what has none forgets everything.
    pub(crate) fn set_powered(&self, powered: bool) {
        if self.powered.swap(powered, Ordering::AcqRel) != powered {
            self.reset();
        }
    }

    /// Notes where the function is plugged in.
    pub(crate) fn set_place(&self, bus: &Arc<PciBus>, devfn: Devfn) {
        let mut state = self.interface.lock();
        // What it is now is what it will be after every reset.
        state.config.seal();
        state.place = Some(Place {
            bus: Arc::downgrade(bus),
            fabric: Arc::clone(bus.fabric()),
            devfn,
        });
        drop(state);
        self.interface.settle();
    }

    /// Lets go of everything outside, for a function that has been taken from its bus.
    pub(crate) fn release(&self) {
        let mut state = self.interface.lock();
        state.interrupts.level = false;
        state.drive();
        state.place = None;
        drop(state);
        if let Some(bus) = self.secondary.get() {
            for function in bus.functions() {
                function.release();
            }
        }
        self.device.removed();
    }

    pub(crate) fn tell_ejected(&self) {
        if let Some(ejected) = self.ejected.get() {
            ejected();
        }
    }

    fn remap(&self) {
        if let Some(bus) = self.interface.bus() {
            bus.fabric().remap();
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("devfn", &self.interface.devfn())
            .finish_non_exhaustive()
    }
}
