//! The toolbox as its users meet it: the binary, against real servers.

mod certificates;
mod ga;
mod mock;
mod peers;
mod proxy;
mod qmp_shell;
mod qom;
#[path = "../../../../client/tests/it/ready.rs"]
mod ready;
mod record;
mod run;
mod schema;
mod served;
mod shell;
mod test;
mod tls;
mod top;
