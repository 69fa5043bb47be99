//! Device classes: typed properties, buses, and the life of a device from plug to unplug.
//!
//! It knows names, values and the order in which a device comes and goes. It must never know
//! what any device does, nor which back ends there are.
#![forbid(unsafe_code)]
