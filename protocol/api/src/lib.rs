//! Generated from schema/: the types, commands, events and introspection of Tinamou's interface.
