//! The toolbox as its users meet it: the binary, against real servers.

mod mock;
mod peers;
mod proxy;
mod record;
mod run;
mod schema;
mod served;
mod shell;
mod test;
