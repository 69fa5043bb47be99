//! The toolbox as its users meet it: the binary, against real servers.

mod peers;
mod run;
