//! The client library and guests: an agent behind a virtio-serial port, and
//! devices that the guest must let go of.

use std::time::Duration;

use serde_json::json;
use tinamou_client::{Address, blocking::Client, recipes};

use super::{Boot, Kernel, Program, on_both};

on_both! {
    the_agent_is_synchronised_with
    unplugging_waits_for_the_guest
}

const LONG: Duration = Duration::from_secs(120);

fn the_agent_is_synchronised_with(program: Program) {
    let Some(guest) = Boot::new(program, Kernel::Small)
        .with_agent()
        .with("-device virtio-serial-device")
        .with("-chardev socket,id=c,path=agent.sock,server=on,wait=off")
        .with("-device virtserialport,chardev=c,name=org.qemu.guest_agent.0")
        .up()
    else {
        return;
    };
    let address = Address::Unix(guest.vm.path("agent.sock"));
    for _ in 0..2 {
        let builder = tinamou_client::Client::builder().agent();
        let agent = Client::build(builder, &address).expect("the agent answers");
        let info = agent.execute("guest-get-osinfo", ()).expect("it knows");
        assert_eq!(info["machine"], "riscv64");
        let open = agent.execute("guest-file-open", json!({"path": "/no/such"}));
        assert!(open.is_err(), "{open:?}");
    }
    guest.power_off();
}

fn unplugging_waits_for_the_guest(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with("-qmp unix:client.sock,server=on,wait=off")
        .with("-device pcie-root-port,id=rp1,chassis=1,slot=1")
        .words("pciehp.pciehp_poll_mode=1 pciehp.pciehp_poll_time=1")
        .up()
    else {
        return;
    };
    let address = Address::Unix(guest.vm.path("client.sock"));
    let client = Client::connect(&address).expect("the monitor answers");
    let device = json!({"driver": "virtio-rng-pci", "id": "hot", "bus": "rp1"});
    client.execute("device_add", device).expect("it is plugged");
    guest.run("t until t bound virtio_rng");
    let unplug = recipes::unplug(client.asynchronous(), "hot", LONG);
    client.wait(unplug).expect("the guest lets go");
    guest.power_off();
}
