//! Character devices: the byte pipes that monitors, serial ports and tests talk through.
