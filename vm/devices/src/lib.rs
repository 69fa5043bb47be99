//! The devices of the virt board, one directory each, and the interrupt lines between them.
