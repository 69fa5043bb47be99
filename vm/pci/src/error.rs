//! What can go wrong between a function and its bus, worded as QEMU words it.

use crate::Devfn;

/// Why a function cannot be plugged or unplugged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another function is there.
    #[error("PCI: slot {} function {} not available for {kind}, in use by {other},id={id}", .devfn.slot(), .devfn.function())]
    InUse {
        /// The wanted place.
        devfn: Devfn,
        /// The class that wanted it.
        kind: String,
        /// The class that has it.
        other: String,
        /// The id of what has it.
        id: String,
    },
    /// A function cannot appear once function 0 of its slot is there.
    #[error("PCI: slot {} function 0 already occupied by {other}, new func {kind} cannot be exposed to guest.", .devfn.slot())]
    SlotOccupied {
        /// The wanted place.
        devfn: Devfn,
        /// The class that wanted it.
        kind: String,
        /// The class of function 0.
        other: String,
    },
    /// Every place is taken.
    #[error("PCI: no slot/function available for {kind}, all in use or reserved")]
    Full {
        /// The class that wanted one.
        kind: String,
    },
    /// There is no such slot on this bus.
    #[error("PCI: slot {} is not valid for {kind}, parent device only allows plugging into slot 0.", .devfn.slot())]
    OnlySlotZero {
        /// The wanted place.
        devfn: Devfn,
        /// The class that wanted it.
        kind: String,
    },
    /// Function 0 says that it is alone.
    #[error("PCI: {:x}.0 indicates single function, but {:x}.{:x} is already populated.", .devfn.slot(), .devfn.slot(), .devfn.function())]
    SingleFunction {
        /// The function that is there already.
        devfn: Devfn,
    },
    /// A function other than 0 was to join a slot whose function 0 says that it is alone.
    #[error("PCI: single function device can't be populated in function {:x}.{:x}", .devfn.slot(), .devfn.function())]
    NotMultifunction {
        /// The wanted place.
        devfn: Devfn,
    },
    /// Nothing comes or goes on this bus while the machine runs.
    #[error("Bus '{bus}' does not support hotplugging")]
    NoHotplug {
        /// The bus.
        bus: String,
    },
    /// The guest has been asked and has not answered yet.
    #[error("Device {id} is already in the process of unplug")]
    UnplugPending {
        /// The function.
        id: String,
    },
    /// The guest has locked the slot.
    #[error("slot is electromechanically locked: Device or resource busy")]
    Locked,
    /// The guest is at work on the slot.
    #[error("Hot-unplug failed: guest is busy (power indicator blinking)")]
    Blinking,
    /// Another port has the same chassis and slot number.
    #[error("Can't add chassis slot, error -16")]
    SlotNumberTaken,
    /// Prefetchable memory is to be below 4 GiB, and anywhere.
    #[error("PCI resource reserve cap: PREF32 and PREF64 conflict")]
    ReserveConflict,
    /// There is nothing at this place.
    #[error("PCI: no device at {:02x}.{:x}", .devfn.slot(), .devfn.function())]
    Empty {
        /// The place.
        devfn: Devfn,
    },
}
