//! QEMU's whole interface as types, generated from `schema/` for clients.
//!
//! A command is the struct of its arguments, and says what it returns:
//!
//! ```
//! use tinamou_interface::qmp::{DeviceDel, QueryStatus, RunState};
//! use tinamou_qmp::typed::{self, TypedCommand};
//!
//! let command = DeviceDel::new("nic0");
//! assert_eq!(serde_json::to_string(&command)?, r#"{"id":"nic0"}"#);
//!
//! type Return = <QueryStatus as TypedCommand>::Return;
//! let status: Return = typed::decode(r#"{"status": "running", "running": true}"#)?;
//! assert_eq!(status.status, RunState::Running);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It knows names and shapes, of the monitor and of the guest agent. It must
//! never know a connection.
#![forbid(unsafe_code)]

pub mod qga;
pub mod qmp;
