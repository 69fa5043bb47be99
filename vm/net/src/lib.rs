//! Network back ends: user-mode networking, taps, sockets, hubs and filters.
//!
//! It knows Ethernet frames and the host's sockets. It must never know which device a frame
//! comes from, nor who configures it.
#![forbid(unsafe_code)]
