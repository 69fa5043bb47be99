//! PCI as firmware sees it: the same accesses on our machine and on QEMU's,
//! started with the same command line, must have the same answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{QEMU, Qmp, Vm, connect_stream, installed, skip, tinamou};

const ECAM: u64 = 0x3000_0000;
const MEMORY: u64 = 0x4000_0000;
const PORTS: u64 = 0x300_0000;

/// A function's place: bus, slot, function.
type Place = (u64, u64, u64);

/// A machine that a test drives through the qtest protocol.
pub struct Driven {
    _vm: Vm,
    /// A session with it.
    pub qmp: Qmp,
    qtest: BufReader<UnixStream>,
}

impl Driven {
    fn start(program: &Path, devices: &[&str]) -> Self {
        let devices = devices.iter().flat_map(|device| ["-device", device]);
        Self::with(program, &devices.collect::<Vec<_>>())
    }

    /// Starts a machine with more on its command line.
    pub fn with(program: &Path, more: &[&str]) -> Self {
        let mut arguments = vec!["-M", "virt", "-m", "64", "-nodefaults", "-S"];
        arguments.extend(["-qtest", "unix:qtest.sock,server=on,wait=off"]);
        arguments.extend(["-qtest-log", "none", "-bios", "none"]);
        arguments.extend(more);
        let mut vm = Vm::start(program, &arguments);
        vm.wait_for_file("qtest.sock");
        let qtest = BufReader::new(connect_stream(&vm.path("qtest.sock")));
        let qmp = vm.qmp();
        Self {
            _vm: vm,
            qmp,
            qtest,
        }
    }

    /// Sends a line: the answer.
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.qtest.get_mut(), "{line}").expect("the machine reads");
        let mut reply = String::new();
        self.qtest.read_line(&mut reply).expect("a reply");
        reply
    }
}

/// Our machine beside QEMU's.
struct Pair {
    ours: Driven,
    theirs: Driven,
}

impl Pair {
    /// None where there is no QEMU.
    fn start(devices: &[&str]) -> Option<Self> {
        if !installed(QEMU) {
            skip("qemu-system-riscv64 is not installed");
            return None;
        }
        Some(Self {
            ours: Driven::start(&tinamou(), devices),
            theirs: Driven::start(Path::new(QEMU), devices),
        })
    }

    /// Sends a line to both, which must answer the same.
    fn check(&mut self, line: &str) -> String {
        let ours = self.ours.ask(line);
        assert_eq!(ours, self.theirs.ask(line), "{line} (ours, then QEMU's)");
        ours
    }

    fn command(&mut self, command: &str, arguments: &Value) {
        let ours = self.ours.qmp.execute(command, arguments.clone());
        let theirs = self.theirs.qmp.execute(command, arguments.clone());
        assert_eq!(ours, theirs, "{command} {arguments} (ours, then QEMU's)");
    }

    fn human(&mut self, line: &str) {
        let theirs = self.theirs.qmp.hmp(line).replace('\r', "");
        let ours = self.ours.qmp.hmp(line).replace('\r', "");
        assert_eq!(ours, theirs, "{line} (ours, then QEMU's)");
    }

    /// Compares all of a function's configuration space, and what a guest
    /// can change of it.
    fn check_function(&mut self, place: Place) {
        let base = config(place);
        self.check(&format!("read {base:#x} 0x1000"));
        for register in (0..0x180).step_by(4) {
            let address = base + register;
            let before = self.check(&format!("readl {address:#x}"));
            let before = before.trim().trim_start_matches("OK ").to_owned();
            for value in ["0xffffffff", "0", &before] {
                self.check(&format!("writel {address:#x} {value}"));
                self.check(&format!("readl {address:#x}"));
            }
        }
        for register in [0, 1, 2, 3, 4, 6, 0xe, 0x34, 0xfc, 0xfe, 0xff, 0xffc] {
            for width in ["b", "w", "l", "q"] {
                let size = 1 << "bwlq".find(width).expect("one of the four");
                if register % size == 0 {
                    self.check(&format!("read{width} {:#x}", base + register));
                }
            }
        }
    }

    fn set(&mut self, place: Place, register: u64, width: char, value: u64) {
        let address = config(place) + register;
        self.check(&format!("write{width} {address:#x} {value:#x}"));
    }
}

fn config((bus, slot, function): Place) -> u64 {
    ECAM | bus << 20 | slot << 15 | function << 12
}

#[test]
fn simple_functions_are_as_in_qemu() {
    let devices = [
        "pci-testdev,addr=1,id=t",
        "pvpanic-pci,addr=2",
        "i6300esb,addr=3.0,multifunction=on",
        "pci-testdev,addr=3.7,membar=64K",
    ];
    let Some(mut pair) = Pair::start(&devices) else {
        return;
    };
    pair.command("query-pci", &json!({}));
    pair.human("info pci");
    for place in [(0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, 0), (0, 3, 7)] {
        pair.check_function(place);
    }
    for place in [(0, 4, 0), (0, 3, 1), (1, 0, 0), (255, 31, 7)] {
        pair.check(&format!("read {:#x} 64", config(place)));
    }
}

#[test]
fn ports_and_switches_are_as_in_qemu() {
    let devices = [
        "pcie-root-port,id=rp0,chassis=1,addr=1",
        "x3130-upstream,id=up,bus=rp0,port=2",
        "xio3130-downstream,id=dn,bus=up,chassis=2",
        "xio3130-downstream,id=dn2,bus=up,chassis=2,slot=1,addr=3",
        "pcie-root-port,id=rp3,chassis=4,slot=5,addr=6,power_controller_present=off,port=3,\
         io-reserve=4096,mem-reserve=1M,pref64-reserve=2M,bus-reserve=3,multifunction=on",
        "pcie-root-port,chassis=9,addr=6.1,x-speed=5,x-width=4,hotplug=off,disable-acs=on,\
         aer_log_max=0",
        "pcie-root-port,chassis=9,slot=1,addr=7,x-speed=2_5,x-width=1",
        "pci-testdev,bus=dn",
    ];
    let Some(mut pair) = Pair::start(&devices) else {
        return;
    };
    pair.command("query-pci", &json!({}));
    let buses = [
        ((0, 1, 0), 0x05_01_00),
        ((1, 0, 0), 0x05_02_01),
        ((2, 0, 0), 0x03_03_02),
        ((2, 3, 0), 0x04_04_02),
    ];
    for (place, numbers) in buses {
        pair.set(place, 0x18, 'l', numbers);
    }
    pair.command("query-pci", &json!({}));
    pair.human("info pci");
    // From the far end on, since bus numbers are written on the way.
    for place in [
        (3, 0, 0),
        (2, 3, 0),
        (2, 0, 0),
        (1, 0, 0),
        (0, 7, 0),
        (0, 6, 1),
        (0, 6, 0),
        (0, 1, 0),
    ] {
        pair.check_function(place);
    }
}

#[test]
fn bars_and_windows_answer_as_in_qemu() {
    let devices = [
        "pci-testdev,addr=1",
        "pcie-root-port,id=rp0,chassis=1,addr=2",
        "pci-testdev,bus=rp0",
        "pvpanic-pci,addr=3",
        "i6300esb,addr=4",
    ];
    let Some(mut pair) = Pair::start(&devices) else {
        return;
    };
    let (near, port, far) = ((0, 1, 0), (0, 2, 0), (1, 0, 0));
    pair.set(port, 0x18, 'l', 0x01_01_00);
    pair.set(port, 0x20, 'l', 0x4010_4010);
    pair.set(port, 4, 'w', 7);
    for (place, memory, ports) in [(near, MEMORY, 0x1000), (far, MEMORY + 0x10_0000, 0x2000)] {
        pair.set(place, 0x10, 'l', memory);
        pair.set(place, 0x14, 'l', ports);
        pair.set(place, 4, 'w', 3);
    }
    pair.human("info pci");
    for (bar, counter) in [
        (MEMORY, MEMORY + 0x800),
        (MEMORY + 0x10_0000, MEMORY + 0x10_0800),
        (PORTS + 0x1000, PORTS + 0x1083),
    ] {
        pair.check(&format!("writeb {bar:#x} 0"));
        for _ in 0..3 {
            pair.check(&format!("writeb {counter:#x} 0xfa"));
        }
        pair.check(&format!("read {bar:#x} 0x30"));
        pair.check(&format!("readq {bar:#x}"));
    }
    pair.set((0, 3, 0), 0x10, 'l', MEMORY + 0x20_0000);
    pair.set((0, 3, 0), 4, 'w', 2);
    pair.check(&format!("readl {:#x}", MEMORY + 0x20_0000));
    watchdog_registers(&mut pair);
    // Closed again, they are gone.
    pair.set(port, 4, 'w', 0);
    pair.set(near, 4, 'w', 0);
    pair.check(&format!("readl {MEMORY:#x}"));
    pair.check(&format!("readl {:#x}", MEMORY + 0x10_0000));
}

/// Unlocks and sets the watchdog without starting it.
fn watchdog_registers(pair: &mut Pair) {
    let (place, bar) = ((0, 4, 0), MEMORY + 0x30_0000);
    pair.set(place, 0x10, 'l', bar);
    pair.set(place, 4, 'w', 2);
    for (register, width, value) in [(0x60, 'w', 0x24), (0x68, 'b', 4), (0x60, 'w', 0xffff)] {
        pair.set(place, register, width, value);
        pair.check(&format!("readw {:#x}", config(place) + 0x60));
        pair.check(&format!("readb {:#x}", config(place) + 0x68));
    }
    for offset in [0, 4, 8, 12] {
        pair.check(&format!("readw {:#x}", bar + offset));
        pair.check(&format!("readl {:#x}", bar + offset));
    }
}

/// A guest at the slot of a port, and a user of the monitor.
struct Slot(Pair);

const PORT: Place = (0, 1, 0);
const BEHIND: Place = (1, 0, 0);
const SLTCTL: u64 = 0x6c;
const SLTSTA: u64 = 0x6e;

impl Slot {
    /// Slot control, slot status, link status and what is seen behind the
    /// port. The interrupt is left out: QEMU's port lets go of its pin with
    /// every write to configuration space, ours when its events are cleared.
    fn look(&mut self) {
        for register in [SLTCTL, SLTSTA, 0x66] {
            self.0
                .check(&format!("readw {:#x}", config(PORT) + register));
        }
        self.0.check(&format!("readl {:#x}", config(BEHIND)));
    }

    fn control(&mut self, value: u64) {
        self.0.set(PORT, SLTCTL, 'w', value);
        self.look();
    }

    fn clear(&mut self, value: u64) {
        self.0.set(PORT, SLTSTA, 'w', value);
        self.look();
    }

    fn add(&mut self, id: &str, properties: &Value) {
        let mut arguments = json!({"driver": "pci-testdev", "bus": "rp0", "id": id});
        for (name, value) in properties.as_object().into_iter().flatten() {
            arguments[name] = value.clone();
        }
        self.0.command("device_add", &arguments);
        self.look();
    }

    fn remove(&mut self, id: &str) {
        self.0.command("device_del", &json!({"id": id}));
        self.look();
    }

    /// Waits for both machines to say that these devices are gone.
    fn gone(&mut self, ids: &[&str]) {
        for machine in [&mut self.0.ours, &mut self.0.theirs] {
            let events = ids.iter().map(|_| machine.qmp.event("DEVICE_DELETED"));
            let mut gone: Vec<_> = events.map(|event| event["data"].clone()).collect();
            gone.sort_by_key(|data| data["device"].to_string());
            let expected = ids
                .iter()
                .map(|id| json!({"device": id, "path": format!("/machine/peripheral/{id}")}));
            assert_eq!(gone, expected.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_slot_goes_through_qemus_states() {
    let Some(mut pair) = Pair::start(&["pcie-root-port,id=rp0,chassis=1,addr=1,slot=1"]) else {
        return;
    };
    pair.set(PORT, 0x18, 'l', 0x01_01_00);
    let mut slot = Slot(pair);
    let plain = json!({});
    slot.look();
    slot.add("t0", &plain);
    slot.add("t1", &plain);
    slot.add("t2", &json!({"addr": "1"}));
    // The guest has not turned it on: it goes at once.
    slot.remove("t0");
    slot.gone(&["t0"]);
    slot.clear(0xffff);
    slot.add("t0", &plain);
    slot.clear(0x19);
    slot.control(0x1f9);
    slot.clear(0x10);
    slot.clear(0x19);
    slot.remove("t0");
    slot.remove("t0");
    slot.clear(1);
    slot.control(0x2f9);
    slot.remove("t0");
    slot.control(0x3f9);
    slot.control(0x7f9);
    slot.gone(&["t0"]);
    slot.clear(0x18);
    // The id is free again, and so is the slot.
    slot.add("t0", &plain);
    slot.control(0x1f9);
    slot.control(0x2f9);
    slot.remove("t0");
    // The interlock is closed, and opened again.
    slot.control(0x9f9);
    slot.remove("t0");
    slot.control(0x9f9);
    slot.control(0x7f9);
    slot.gone(&["t0"]);
    slot.clear(0x19);
    slot.control(0xff9);
    slot.add("t0", &plain);
    slot.control(0xff9);
    slot.add("f1", &json!({"addr": "0.1"}));
    slot.add("f0", &json!({"addr": "0.0"}));
    slot.add("f0", &json!({"addr": "0.0", "multifunction": true}));
    slot.control(0x1f9);
    slot.0.check(&format!("readl {:#x}", config((1, 0, 1))));
    slot.remove("f1");
    slot.control(0x7f9);
    slot.gone(&["f0", "f1"]);
    slot.0.command("query-pci", &plain);
}

#[test]
fn what_cannot_be_plugged_is_refused_in_qemus_words() {
    let devices = [
        "pcie-root-port,id=rp0,chassis=1,addr=1",
        "pcie-root-port,id=rp1,chassis=2,hotplug=off",
        "pci-testdev,addr=5,id=t",
        "pcie-root-port,id=rp2,chassis=3,addr=6.1",
    ];
    let Some(mut pair) = Pair::start(&devices) else {
        return;
    };
    for arguments in [
        json!({"driver": "pci-testdev"}),
        json!({"driver": "pci-testdev", "bus": "rp1"}),
        json!({"driver": "pci-testdev", "bus": "nosuch"}),
        json!({"driver": "pci-testdev", "bus": "rp0", "addr": "20"}),
        json!({"driver": "pci-testdev", "bus": "rp0", "membar": "x"}),
        json!({"driver": "pci-testdev", "bus": "rp0", "nosuch": 1}),
        json!({"driver": "pci-device", "bus": "rp0"}),
        json!({"driver": "gpex-root", "bus": "rp0"}),
        json!({"driver": "gpex-pcihost"}),
        json!({"driver": "pcie-root-port", "bus": "rp0", "chassis": 7}),
        json!({"driver": "pvpanic-pci", "bus": "rp0", "id": "t"}),
    ] {
        pair.command("device_add", &arguments);
    }
    for id in ["t", "rp0", "nosuch"] {
        pair.command("device_del", &json!({"id": id}));
    }
    for kind in [
        "pcie-root-port",
        "x3130-upstream",
        "xio3130-downstream",
        "pcie-pci-bridge",
        "pci-testdev",
        "pvpanic-pci",
        "i6300esb",
    ] {
        let list = |machine: &mut Driven| {
            let reply = machine
                .qmp
                .execute("device-list-properties", json!({"typename": kind}));
            let mut properties = reply.expect("a list").as_array().expect("a list").clone();
            properties.sort_by_key(|property| property["name"].to_string());
            properties
        };
        let (ours, theirs) = (list(&mut pair.ours), list(&mut pair.theirs));
        assert_eq!(ours, theirs, "{kind} (ours, then QEMU's)");
    }
}
