//! The human monitor's commands on the network.

use std::time::Duration;

use tinamou_monitor::Hmp;
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_net::Announcements;
use tinamou_qmp::{Error, Result};

use super::Entry;
use crate::vm::Vm;
use crate::{commands, netdevs, options};

const COMMANDS: &[Entry] = &[
    (
        "set_link",
        "name:s,up:b",
        "name on|off",
        "take a network link up or down",
        |vm, _, args| {
            let up = args.flag("up");
            vm.network
                .set_link(args.string("name"), up)
                .map_err(netdevs::wire)
        },
    ),
    (
        "netdev_add",
        "netdev:s",
        "[user|tap|bridge|socket|stream|dgram|hubport],id=str[,prop=value][,...]",
        "make a network back end",
        netdev_add,
    ),
    (
        "netdev_del",
        "id:s",
        "id",
        "remove a network back end",
        |vm, _, args| commands::net::remove(vm, args.string("id")),
    ),
    (
        "announce_self",
        "interfaces:s?,id:s?",
        "[interfaces] [id]",
        "let network cards tell where they are",
        announce_self,
    ),
    (
        "hostfwd_add",
        "arg1:s,arg2:s?",
        "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
        "forward a port of the host to the guest",
        |vm, console, args| {
            let (id, rule) = rule(args);
            if let Err(error) = vm.network.add_host_forward(id, rule) {
                console.print(&format!("{error}\n"));
            }
            Ok(())
        },
    ),
    (
        "hostfwd_remove",
        "arg1:s,arg2:s?",
        "[netdev_id] [tcp|udp]:[hostaddr]:hostport",
        "stop forwarding a port of the host",
        |vm, console, args| {
            let (id, rule) = rule(args);
            console.print(&match vm.network.remove_host_forward(id, rule) {
                Ok(true) => format!("host forwarding rule for {rule} removed\n"),
                Ok(false) => format!("host forwarding rule for {rule} not found\n"),
                Err(error) => format!("{error}\n"),
            });
            Ok(())
        },
    ),
];

const INFO: &[Entry] = &[
    (
        "network",
        "",
        "",
        "network cards and back ends",
        |vm, console, _| {
            console.print(&vm.network.describe());
            Ok(())
        },
    ),
    (
        "usernet",
        "",
        "",
        "connections of networks behind the process",
        |vm, console, _| {
            console.print(&vm.network.describe_users());
            Ok(())
        },
    ),
];

/// Adds the commands of this file.
pub fn add(hmp: &mut Hmp<Vm>) {
    for entry in COMMANDS {
        hmp.add(super::command(entry, &[]));
    }
    for entry in INFO {
        hmp.add_info(super::command(entry, &[]));
    }
}

/// The id of a back end, if one is named, and the rule.
fn rule(args: &Arguments) -> (Option<&str>, &str) {
    match args.optional_string("arg2") {
        Some(rule) => (Some(args.string("arg1")), rule),
        None => (None, args.string("arg1")),
    }
}

fn netdev_add(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let config = options::parse_netdev(args.string("netdev"));
    let config = config.map_err(|error| Error::generic(error.message().to_owned()))?;
    let netdev = config.netdev()?;
    if vm.network.is_free(&netdev.id).is_some() {
        let message = format!("Duplicate ID '{}' for netdev", netdev.id);
        return Err(Error::generic(message));
    }
    commands::net::add(vm, netdev)
}

fn announce_self(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let interfaces = args.optional_string("interfaces");
    vm.network.announce(Announcements {
        name: args.optional_string("id").map(str::to_owned),
        interfaces: interfaces.map(|names| names.split(',').map(str::to_owned).collect()),
        rounds: 5,
        initial: Duration::from_millis(50),
        max: Duration::from_millis(550),
        step: Duration::from_millis(100),
    });
    Ok(())
}
