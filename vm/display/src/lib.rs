//! Screens, keyboards and pointers: what a guest shows to people, and what people do to it.
//!
//! [`Inputs`] takes events to the device that wants them, as QEMU chooses among several;
//! [`Keyboard`] types keys one after the other, each held for a while.
//!
//! [`Screens`] are what a guest shows; a [`Picture`] of one is a file.
//!
//! It must never know which device is behind a screen or a keyboard, nor who looks and types.
#![forbid(unsafe_code)]

mod input;
mod picture;
mod screen;

pub use input::keyboard::Keyboard;
pub use input::keys;
pub use input::{Axis, Button, Event, Handler, InputDevice, Inputs, Kind, Kinds, Pointer};
pub use input::{NoSuchMouse, TouchKind};
pub use screen::{Area, Format, Image, PIXEL, Picture, Screen, Screens};
