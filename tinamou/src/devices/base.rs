//! The classes that all others inherit from.

use tinamou_qdev::Category;

use super::Class;

/// Everything that can be plugged somewhere.
pub const DEVICE: Class = Class::base("device", "object");

/// What hangs on the main bus; the board puts it there.
pub const SYS_BUS_DEVICE: Class = Class {
    bus: Some("System"),
    user_creatable: false,
    hotpluggable: false,
    ..Class::base("sys-bus-device", "device")
};

/// Processors.
pub const CPU: Class = Class {
    category: Some(Category::Cpu),
    user_creatable: false,
    ..Class::base("cpu", "device")
};

/// RISC-V processors.
pub const RISCV_CPU: Class = Class::base("riscv-cpu", "cpu");

/// RISC-V processors whose extensions are switched one by one.
pub const DYNAMIC_CPU: Class = Class::base("riscv-dynamic-cpu", "riscv-cpu");

/// The 64-bit base with what most guests want.
pub const RV64_CPU: Class = Class::new("rv64-riscv-cpu", "riscv-dynamic-cpu");

/// Every extension there is.
pub const MAX_CPU: Class = Class::new("max-riscv-cpu", "riscv-dynamic-cpu");
