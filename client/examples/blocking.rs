//! A machine's disks, without a runtime or a thread.
//!
//! ```text
//! cargo run -p tinamou-client --example blocking -- /run/vm.sock
//! ```

use std::error::Error;
use tinamou_client::Address;
use tinamou_client::blocking::Client;
use tinamou_client::qmp::QueryNamedBlockNodes;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: blocking ADDRESS")?;
    let address: Address = address.parse()?;
    let client = Client::connect(&address)?;
    // Ask for what the server has rather than for its version.
    let flat = client.schema()?.has_arg("query-named-block-nodes", "flat");
    let command = QueryNamedBlockNodes {
        flat: flat.then_some(true),
    };
    for node in client.call(command)? {
        println!(
            "{} {} {}",
            node.node_name.unwrap_or_default(),
            node.drv,
            node.file
        );
    }
    Ok(())
}
