//! The portable conformance suite: checks that hold any QMP server to the
//! protocol.
//!
//! It knows bytes on a wire and what they must be. It must never know which
//! server it talks to, except to name that server's known deviations.
#![forbid(unsafe_code)]
