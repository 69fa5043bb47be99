//! Ports of virtio-serial: conversations beside the console, and who listens.

use serde_json::json;

use super::{Boot, Kernel, Program, on_both};
use crate::support::Console;

on_both! {
    a_port_tells_when_the_guest_listens
    a_shell_answers_on_a_port
    the_agent_answers
}

const BUS: &str = "-device virtio-serial-pci";

fn a_port_tells_when_the_guest_listens(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with(BUS)
        .with("-chardev null,id=c -device virtserialport,chardev=c,id=port,name=a.port")
        .up()
    else {
        return;
    };
    assert_eq!(guest.run("t ports"), "port=vport0p1 name=a.port\n");
    for _ in 0..2 {
        guest.run("exec 3<>/dev/vport0p1");
        assert_eq!(
            guest.event("VSERPORT_CHANGE"),
            json!({"open": true, "id": "port"})
        );
        guest.run("exec 3>&-");
        assert_eq!(
            guest.event("VSERPORT_CHANGE"),
            json!({"open": false, "id": "port"})
        );
    }
    guest.power_off();
}

fn a_shell_answers_on_a_port(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with(BUS)
        .with("-chardev socket,id=c,path=port.sock,server=on,wait=off")
        .with("-device virtserialport,chardev=c,name=test.shell")
        .up()
    else {
        return;
    };
    let mut port = Console::connect(&guest.vm.path("port.sock"));
    port.send("seq 1 20000 | md5sum\n");
    let sum = guest.run("seq 1 20000 | md5sum");
    assert_eq!(port.expect("@RC=0\n"), format!("{sum}@RC=0\n"));
    // More than the rings hold, in pieces as the host takes them.
    port.send("seq 1 20000\n");
    let numbers: String = (1..=20000).map(|n| format!("{n}\n")).collect();
    assert!(
        port.expect("@RC=0\n") == format!("{numbers}@RC=0\n"),
        "not every byte came"
    );
    guest.power_off();
}

fn the_agent_answers(program: Program) {
    let Some(guest) = Boot::new(program, Kernel::Small)
        .with_agent()
        .with(BUS)
        .with("-chardev socket,id=c,path=agent.sock,server=on,wait=off")
        .with("-device virtserialport,chardev=c,name=org.qemu.guest_agent.0")
        .up()
    else {
        return;
    };
    let mut agent = Console::connect(&guest.vm.path("agent.sock"));
    agent.send("{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 4711}}\n");
    agent.expect("{\"return\": 4711}\n");
    agent.send("{\"execute\": \"guest-get-osinfo\"}\n");
    let info = agent.expect("\n");
    assert!(info.contains("\"machine\": \"riscv64\""), "{info}");
    guest.power_off();
}
