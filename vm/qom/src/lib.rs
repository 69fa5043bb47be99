//! The QEMU object model: types, properties, the object tree and its paths.
