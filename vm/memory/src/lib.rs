//! Guest physical memory: RAM blocks and the map of memory-mapped devices.
