//! Screens as grids of text.

use super::*;
use crate::Exit;
use crate::top::host::Traffic;
use crate::top::sample::{Counters, Cpu, Disk, Job, Migration, Net, Ram, Sample};
use crate::top::state::{Line as Told, Update};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

/// What is drawn on a screen of that size, its rows without trailing spaces.
fn grid(machines: &[Machine], view: &View, (width, height): (u16, u16), now: Instant) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it has no faults");
    let theme = Theme { colour: true };
    terminal
        .draw(|frame| draw(frame, machines, view, theme, now))
        .expect("it has no faults");
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(width).max(1));
    let rows = rows.map(|row| {
        let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("{}\n", row.trim_end())
    });
    rows.collect()
}

#[track_caller]
fn check(machines: &[Machine], view: &View, size: (u16, u16), now: Instant, expected: &str) {
    let drawn = grid(machines, view, size, now);
    let expected = expected.trim_start_matches('\n');
    assert_eq!(drawn, expected, "drawn:\n{drawn}");
}

/// The state of a busy machine after `step` seconds.
fn busy(step: u64, taken: Instant) -> Sample {
    let cpu = |index: u64, milliseconds: u64| Cpu {
        cpu_index: index,
        thread_id: Some(100 + index as u32),
        spent: Some(Duration::from_millis(milliseconds * step)),
    };
    let counters = Counters {
        rd_operations: 1200 * step,
        wr_operations: 30 * step,
        rd_bytes: step * (150 << 20),
        wr_bytes: step * (120 << 10),
        rd_total_time_ns: step * 300_000_000,
        wr_total_time_ns: step * 7_500_000,
    };
    let disk = |name: &str, counters: Counters| Disk {
        name: name.to_owned(),
        counters,
    };
    let net = |name: &str, kind: &str, bytes: Option<Traffic>| Net {
        name: name.to_owned(),
        kind: kind.to_owned(),
        bytes,
    };
    let traffic = Traffic {
        received: step * (3 << 20),
        sent: step * (64 << 10),
    };
    Sample {
        taken: Some(taken),
        status: Some("running".to_owned()),
        name: Some("web".to_owned()),
        cpus: Some(vec![cpu(0, 980), cpu(1, 250), cpu(2, 0)]),
        memory: Some(2 << 30),
        balloon: Some(1 << 30),
        disks: Some(vec![
            disk("disk0", counters),
            disk("cd", Counters::default()),
        ]),
        nets: Some(vec![
            net("nic0", "virtio-net-pci", None),
            net("net0", "tap tap0", Some(traffic)),
        ]),
        jobs: Some(vec![Job {
            id: "backup0".to_owned(),
            kind: "backup".to_owned(),
            status: "running".to_owned(),
            current_progress: 3 << 20,
            total_progress: 8 << 20,
            error: None,
        }]),
        migration: Some(Migration {
            status: "active".to_owned(),
            ram: Some(Ram {
                remaining: 512 << 20,
                total: 2 << 30,
                mbps: 940.4,
            }),
            error_desc: None,
        }),
    }
}

fn tell(machine: &mut Machine, kind: Kind, text: &str, now: Instant) {
    let text = text.to_owned();
    machine.absorb(Update::Line(Told { kind, text }), now);
}

/// A machine that does all there is to show, watched for two seconds.
fn web(start: Instant) -> Machine {
    let mut machine = Machine::new("/run/web.sock".to_owned());
    let version = Some("10.0.2".to_owned());
    machine.absorb(Update::Connected { version }, start);
    for step in 1..=2 {
        let taken = start + Duration::from_secs(step);
        machine.absorb(Update::Sample(Box::new(busy(step, taken))), taken);
    }
    tell(&mut machine, Kind::Event, "12:33:01 RESUME", start);
    tell(&mut machine, Kind::Typed, ":query-status", start);
    tell(&mut machine, Kind::Reply, "{\"running\": true}", start);
    tell(&mut machine, Kind::Fault, "error: no\u{1b}[31m", start);
    machine
}

/// One that runs a storage daemon: it has neither CPUs nor a run state.
fn storage(start: Instant) -> Machine {
    let mut machine = Machine::new("./qsd.sock".to_owned());
    let version = Some("10.0.2".to_owned());
    machine.absorb(Update::Connected { version }, start);
    let sample = Sample {
        taken: Some(start),
        jobs: Some(Vec::new()),
        ..Sample::default()
    };
    machine.absorb(Update::Sample(Box::new(sample)), start);
    machine
}

fn silent(start: Instant) -> Machine {
    let mut machine = web(start);
    machine.sample.name = Some("db".to_owned());
    machine.absorb(Update::Silent(start), start);
    machine
}

fn ended(start: Instant) -> Machine {
    let mut machine = web(start);
    machine.sample.name = Some("mail".to_owned());
    let reason = "the machine was shut down (guest-shutdown)".to_owned();
    let away = Update::Away {
        ended: true,
        reason,
        exit: Exit::Done,
    };
    machine.absorb(away, start);
    machine
}

/// A fleet, and a moment 72 seconds after its beginning.
fn fleet() -> (Vec<Machine>, Instant) {
    let start = Instant::now();
    let machines = vec![web(start), storage(start), silent(start), ended(start)];
    (machines, start + Duration::from_secs(72))
}

fn detail_of(selected: usize) -> View {
    View {
        selected,
        detail: true,
        ..View::new(4)
    }
}

#[test]
fn one_machine_on_an_ordinary_terminal() {
    let (machines, now) = fleet();
    check(
        &machines,
        &detail_of(0),
        (80, 24),
        now,
        r##"
 web  running  10.0.2  up 0:01:12  /run/web.sock
CPU 0  [##########]  98%  CPU 1  [###       ]  25%  CPU 2  [          ]   0%
MEMORY 2 GiB, balloon 1 GiB
DISK              READS/S WRITES/S         READ      WRITTEN   LATENCY
disk0                1200       30    150 MiB/s    120 KiB/s    250 us
cd                      0        0        0 B/s        0 B/s         -
NET             KIND                   TO GUEST   FROM GUEST
nic0            virtio-net-pci
net0            tap tap0                3 MiB/s     64 KiB/s
JOB backup0         [########            ]  38% backup running
MIGRATION [########  ]  75% active, 512 MiB left, 940 Mbit/s
EVENTS
12:33:01 RESUME
:query-status
{"running": true}
error: no?[31m







q quit  ? help  : command  Tab next  Up/Down scroll
"##,
    );
}

#[test]
fn one_machine_on_a_narrow_terminal() {
    let (machines, now) = fleet();
    check(
        &machines,
        &detail_of(0),
        (40, 12),
        now,
        r##"
 web  running  10.0.2  up 0:01:12  /run/
CPU 0  [##########]  98%
CPU 1  [###       ]  25%
CPU 2  [          ]   0%
MEMORY 2 GiB, balloon 1 GiB
(8 more lines)
EVENTS
12:33:01 RESUME
:query-status
{"running": true}
error: no?[31m
q quit  ? help  : command  Tab next  Up/
"##,
    );
}

#[test]
fn one_machine_on_a_wide_terminal_while_a_command_is_typed() {
    let (machines, now) = fleet();
    let view = View {
        typed: Some("balloon value=512M".to_owned()),
        scroll: 2,
        ..detail_of(0)
    };
    check(
        &machines,
        &view,
        (120, 20),
        now,
        r##"
 web  running  10.0.2  up 0:01:12  /run/web.sock
CPU 0  [##########]  98%  CPU 1  [###       ]  25%  CPU 2  [          ]   0%
MEMORY 2 GiB, balloon 1 GiB
DISK              READS/S WRITES/S         READ      WRITTEN   LATENCY
disk0                1200       30    150 MiB/s    120 KiB/s    250 us
cd                      0        0        0 B/s        0 B/s         -
NET             KIND                   TO GUEST   FROM GUEST
nic0            virtio-net-pci
net0            tap tap0                3 MiB/s     64 KiB/s
JOB backup0         [########            ]  38% backup running
MIGRATION [########  ]  75% active, 512 MiB left, 940 Mbit/s
EVENTS  2 below
12:33:01 RESUME
:query-status





:balloon value=512M
"##,
    );
}

#[test]
fn many_machines_on_an_ordinary_terminal() {
    let (machines, now) = fleet();
    check(
        &machines,
        &View::new(4),
        (80, 14),
        now,
        r##"
 qmp top  4 machines
#  MACHINE            STATE              CPU        READ       WRITE LAST EVENT
1  web                running           123%   150 MiB/s   120 KiB/s 12:33:01 RE
2  ./qsd.sock         up                   -           -           -
3  db                 unresponsive 1m      -           -           - 12:33:01 RE
4  mail               ended 1m             -           -           - 12:33:01 RE
EVENTS
12:33:01 RESUME
:query-status
{"running": true}
error: no?[31m


q quit  ? help  : command  Tab next  Up/Down scroll
"##,
    );
}

#[test]
fn many_machines_on_a_narrow_terminal() {
    let (machines, now) = fleet();
    let view = View {
        selected: 3,
        ..View::new(4)
    };
    check(
        &machines,
        &view,
        (40, 12),
        now,
        r##"
 qmp top  4 machines
#  MACHINE       STATE              CPU
1  web           running           123%
2  ./qsd.sock    up                   -
3  db            unresponsive 1m      -
4  mail          ended 1m             -
EVENTS
12:33:01 RESUME
:query-status
{"running": true}
error: no?[31m
q quit  ? help  : command  Tab next  Up/
"##,
    );
}

#[test]
fn a_server_without_a_machine_has_few_panels() {
    let (machines, now) = fleet();
    check(
        &machines,
        &detail_of(1),
        (40, 6),
        now,
        r##"
 ./qsd.sock  up  10.0.2  up 0:01:12
EVENTS



q quit  ? help  : command  Tab next  Up/
"##,
    );
}

#[test]
fn an_unresponsive_machine_keeps_what_was_known() {
    let (machines, now) = fleet();
    check(
        &machines,
        &detail_of(2),
        (80, 12),
        now,
        r##"
 db  unresponsive 1m  10.0.2  up 0:01:12  /run/web.sock
CPU 0  [          ]    -  CPU 1  [          ]    -  CPU 2  [          ]    -
MEMORY 2 GiB, balloon 1 GiB
DISK              READS/S WRITES/S         READ      WRITTEN   LATENCY
disk0                   -        -            -            -         -
(6 more lines)
EVENTS
12:33:01 RESUME
:query-status
{"running": true}
error: no?[31m
q quit  ? help  : command  Tab next  Up/Down scroll
"##,
    );
}

#[test]
fn an_ended_machine_says_why() {
    let (machines, now) = fleet();
    check(
        &machines,
        &detail_of(3),
        (80, 8),
        now,
        r##"
 mail  ended 1m  10.0.2  /run/web.sock
the machine was shut down (guest-shutdown)
trying to connect again
EVENTS
:query-status
{"running": true}
error: no?[31m
q quit  ? help  : command  Tab next  Up/Down scroll
"##,
    );
}

#[test]
fn the_help_fits_a_narrow_terminal() {
    let (machines, now) = fleet();
    let view = View {
        help: true,
        ..View::new(4)
    };
    check(
        &machines,
        &view,
        (50, 12),
        now,
        r##"
 qmp top  4 machines
q, Ctrl-C      quit
Tab, 1 to 9    another machine
Enter          the details of the chosen machine
Esc            back to the table of machines
Up, Down       choose a machine, or scroll the eve
PgUp, PgDn     scroll the events; Home, End: all t
:              type a command, as for qmp run:
               balloon value=512M
?              this help

q quit  ? help  : command  Tab next  Up/Down scrol
"##,
    );
}

#[test]
fn without_colour_there_is_none() {
    let (machines, now) = fleet();
    let coloured = |colour: bool| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("it has no faults");
        let theme = Theme { colour };
        for view in [View::new(4), detail_of(0), detail_of(3)] {
            terminal
                .draw(|frame| draw(frame, &machines, &view, theme, now))
                .expect("it has no faults");
        }
        let cells = terminal.backend().buffer().content().iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert_eq!(coloured(false), 0);
    assert_ne!(coloured(true), 0);
}

#[test]
fn no_size_is_too_small() {
    let (machines, now) = fleet();
    let typed = View {
        typed: Some("a long command, longer than that".to_owned()),
        scroll: 3,
        ..detail_of(0)
    };
    let help = View {
        help: true,
        ..View::new(4)
    };
    for view in [View::new(4), detail_of(0), detail_of(3), typed, help] {
        for width in (0..90).step_by(3) {
            for height in 0..12 {
                grid(&machines, &view, (width, height), now);
            }
        }
    }
}

#[test]
fn what_a_server_says_steers_no_terminal() {
    assert_eq!(plain("a\u{1b}[2Jb\r\n\u{9b}"), "a?[2Jb???");
    assert_eq!(fit("wide \u{4f60}\u{597d}", 6), "wide  ");
    assert_eq!(fit("short", 7), "short  ");
}
