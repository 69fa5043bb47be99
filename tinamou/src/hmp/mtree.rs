//! `info mtree`: what lies at which guest physical address.

use std::fmt::Write as _;

use tinamou_memory::{Backing, Mapping, Region};
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_qmp::Result;

use crate::vm::Vm;

/// `info mtree`
pub(super) fn mtree(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let owners = args.flag("owner").then(|| Owners::new(vm));
    let text = match args.flag("flatview") {
        true => flat(vm, owners, args.flag("dispatch_tree")),
        false => tree(vm, owners),
    };
    console.print(&text);
    Ok(())
}

/// Every region where its owner put it.
fn tree(vm: &Vm, mut owners: Option<Owners>) -> String {
    let mut text = String::new();
    for cpu in 0..vm.machine.cpu_count() {
        let _ = writeln!(text, "address-space: cpu-memory-{cpu}");
    }
    let _ = writeln!(text, "address-space: {}", vm.machine.space().name());
    let system = format!("{:016x}-{:016x} (prio 0, i/o): system", 0, u64::MAX);
    let _ = writeln!(text, "  {system}{}", Owners::root(owners.as_ref()));
    for region in vm.machine.space().regions() {
        let _ = writeln!(text, "    {region}{}", Owners::next(&mut owners, &region));
    }
    text.push_str("\n\n");
    text
}

/// What an access meets, and the table it is looked up in.
fn flat(vm: &Vm, mut owners: Option<Owners>, dispatch: bool) -> String {
    let name = vm.machine.space().name();
    let mut text = format!("FlatView #0\n AS \"{name}\", root: system\n");
    for cpu in 0..vm.machine.cpu_count() {
        let _ = writeln!(text, " AS \"cpu-memory-{cpu}\", root: system");
    }
    let view = vm.machine.space().view();
    if view.iter().next().is_none() {
        text.push_str(" Root memory region: (none)\n  No rendered FlatView\n\n\n");
        return text;
    }
    text.push_str(" Root memory region: system\n");
    for mapping in view.iter() {
        let owner = Owners::next(&mut owners, &mapping.region);
        let _ = writeln!(text, "  {}{owner}", stretch(mapping));
    }
    if dispatch {
        text.push_str("  Dispatch\n    Physical sections\n");
        for (number, mapping) in view.iter().enumerate() {
            let Mapping {
                first,
                last,
                region,
            } = mapping;
            let _ = writeln!(
                text,
                "      #{number} @{first:016x}..{last:016x} {}",
                region.name
            );
        }
    }
    text.push_str("\n\n");
    text
}

/// A line about a visible part of a region, which may begin within it.
fn stretch(mapping: &Mapping) -> String {
    let Mapping {
        first,
        last,
        region,
    } = mapping;
    let whole = region.to_string();
    let what = whole.split_once(' ').map_or("", |(_, what)| what);
    match mapping.offset(*first) {
        0 => format!("{first:016x}-{last:016x} {what}"),
        offset => format!("{first:016x}-{last:016x} {what} @{offset:016x}"),
    }
}

/// The objects on the board, to be found by the names of their regions. Of
/// equals the first in memory is the first in the tree.
struct Owners(Vec<(String, String)>);

impl Owners {
    fn new(vm: &Vm) -> Self {
        let Ok(unattached) = vm.qom.resolve("/machine/unattached") else {
            return Self(Vec::new());
        };
        let devices = vm.qom.children(unattached);
        Self(
            devices
                .map(|(_, device)| (vm.qom.kind(device).to_owned(), vm.qom.path(device)))
                .collect(),
        )
    }

    fn root(owners: Option<&Self>) -> &'static str {
        match owners {
            Some(_) => " parent:{obj path=/machine/unattached}",
            None => "",
        }
    }

    fn next(owners: &mut Option<Self>, region: &Region) -> String {
        let Some(Self(devices)) = owners else {
            return String::new();
        };
        let kind = match region.name.as_str() {
            "serial" => "serial-mm",
            name => name,
        };
        match devices.iter().position(|(other, _)| other == kind) {
            Some(place) => format!(" owner:{{dev path={}}}", devices.remove(place).1),
            // Main memory is no object of ours.
            None if matches!(region.backing, Backing::Ram(_)) => String::new(),
            None => Self::root(owners.as_ref()).to_owned(),
        }
    }
}
