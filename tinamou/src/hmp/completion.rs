//! What the TAB key offers for an argument, by what there is at that moment.

use tinamou_machine::run_state::WatchdogAction;
use tinamou_monitor::hmp::Typed;

use crate::log;
use crate::options::chardev::BACKENDS;
use crate::vm::Vm;

/// Candidates for one argument.
pub(super) type Candidates = fn(&Vm, &Typed<'_>) -> Vec<String>;

/// The arguments of the command `names` that can be completed.
pub(super) fn of(names: &str) -> &'static [(&'static str, Candidates)] {
    match names {
        "chardev-add" => &[("args", backends)],
        "chardev-change" => &[("id", chardevs), ("args", backends)],
        "chardev-remove" | "chardev-send-break" => &[("id", chardevs)],
        "ringbuf_read" | "ringbuf_write" => &[("device", ring_buffers)],
        "closefd" => &[("fdname", fds)],
        "cpu" => &[("index", cpus)],
        "registers" => &[("vcpu", cpus)],
        "log" => &[("items", log_items)],
        "qom-get" | "qom-set" => &[("path", objects), ("property", properties)],
        "qom-list" | "qom-tree" => &[("path", objects)],
        "watchdog_action" => &[("action", watchdog_actions)],
        _ => &[],
    }
}

fn backends(_: &Vm, _: &Typed<'_>) -> Vec<String> {
    BACKENDS.iter().map(|name| (*name).to_owned()).collect()
}

fn chardevs(vm: &Vm, _: &Typed<'_>) -> Vec<String> {
    let list = vm.chardevs.list().into_iter();
    list.map(|chardev| chardev.label).collect()
}

fn ring_buffers(vm: &Vm, _: &Typed<'_>) -> Vec<String> {
    let list = vm.chardevs.list().into_iter();
    list.filter(|chardev| chardev.filename == "ringbuf")
        .map(|chardev| chardev.label)
        .collect()
}

fn fds(vm: &Vm, _: &Typed<'_>) -> Vec<String> {
    vm.fds.names().map(str::to_owned).collect()
}

fn cpus(vm: &Vm, _: &Typed<'_>) -> Vec<String> {
    (0..vm.machine.cpu_count())
        .map(|cpu| cpu.to_string())
        .collect()
}

/// The last of a list with commas.
fn log_items(_: &Vm, typed: &Typed<'_>) -> Vec<String> {
    let (head, _) = typed
        .word
        .split_at(typed.word.rfind(',').map_or(0, |comma| comma + 1));
    let items = log::ITEMS.iter().map(|(name, _)| *name);
    let items = items.chain(head.is_empty().then_some("none"));
    items.map(|item| format!("{head}{item}")).collect()
}

/// One step of a path, like files: what has objects below it ends in a slash.
fn objects(vm: &Vm, typed: &Typed<'_>) -> Vec<String> {
    let Some(slash) = typed.word.rfind('/') else {
        return vec!["/".to_owned()];
    };
    let (head, _) = typed.word.split_at(slash + 1);
    let owner = head.trim_end_matches('/');
    let owner = if owner.is_empty() { "/" } else { owner };
    let Ok(owner) = vm.qom.resolve(owner) else {
        return Vec::new();
    };
    let children = vm.qom.children(owner);
    children
        .map(|(name, child)| match vm.qom.children(child).next() {
            Some(_) => format!("{head}{name}/"),
            None => format!("{head}{name}"),
        })
        .collect()
}

fn properties(vm: &Vm, typed: &Typed<'_>) -> Vec<String> {
    let Some(Ok(object)) = typed.before.last().map(|path| vm.qom.resolve(path)) else {
        return Vec::new();
    };
    let list = vm.qom.list(object).into_iter();
    list.map(|property| property.name).collect()
}

fn watchdog_actions(_: &Vm, _: &Typed<'_>) -> Vec<String> {
    let actions = WatchdogAction::ALL.iter();
    actions.map(|action| action.name().to_owned()).collect()
}
