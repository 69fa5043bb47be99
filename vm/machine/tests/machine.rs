//! Whole machines: programs run, stop, go on, reset and power off, and say so.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use tinamou_machine::config::{Accelerator, Bios, BoardKind};
use tinamou_machine::run_state::{RebootAction, ShutdownAction};
use tinamou_machine::{Event, Machine, MachineConfig, Payload, Progress, RunState, ShutdownCause};

/// Where a guest program counts.
const COUNTER: u64 = 0x8030_0000;

/// Counts in memory for ever: `lui t0, 0x80300; slli; srli; ld; addi; sd; j`.
const COUNT: [u32; 7] = [
    0x8030_02b7, // lui  t0, 0x80300
    0x0202_9293, // slli t0, t0, 32
    0x0202_d293, // srli t0, t0, 32
    0x0002_b303, // ld   t1, 0(t0)
    0x0013_0313, // addi t1, t1, 1
    0x0062_b023, // sd   t1, 0(t0)
    0xff5f_f06f, // j    -12
];

/// Writes a word to the test finisher: `lui t0, 0x100; lui t1, …; addi t1; sw; j .`.
fn finish(command: u32) -> [u32; 5] {
    let high = command.wrapping_add(0x800) & 0xffff_f000;
    let low = command.wrapping_sub(high) & 0xfff;
    [
        0x0010_02b7,
        0x0000_0337 | high,
        0x0003_0313 | low << 20,
        0x0062_a023,
        0x0000_006f,
    ]
}

fn program(words: &[u32]) -> Payload {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Payload::Bytes("program".into(), bytes.into())
}

struct Bench {
    machine: Machine,
    events: Arc<Mutex<Vec<Event>>>,
    wakes: mpsc::Receiver<()>,
}

impl Bench {
    fn new(config: MachineConfig) -> Self {
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let log = Arc::clone(&events);
        let observer = Box::new(move |event| log.lock().unwrap().push(event));
        let machine = Machine::new(config, observer).unwrap();
        let (sender, wakes) = mpsc::channel();
        machine
            .requests()
            .on_request(move || sender.send(()).unwrap());
        Self {
            machine,
            events,
            wakes,
        }
    }

    fn running(words: &[u32]) -> Self {
        let kernel = Some(program(words));
        let mut bench = Self::new(MachineConfig {
            kernel,
            ..MachineConfig::default()
        });
        bench.machine.start().unwrap();
        bench
    }

    /// Waits for the guest to ask for something, and does it.
    fn serve(&mut self) -> Progress {
        self.wakes
            .recv_timeout(Duration::from_secs(10))
            .expect("the guest asks");
        self.machine.process_requests()
    }

    fn counter(&self) -> u64 {
        let mut bytes = [0; 8];
        self.machine.read_physical(COUNTER, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn wait_for_counting(&self) {
        let before = self.counter();
        let limit = Instant::now() + Duration::from_secs(10);
        while self.counter() == before {
            assert!(Instant::now() < limit, "the guest does not count");
            std::thread::yield_now();
        }
    }

    fn check_events(&self, expected: &[Event]) {
        assert_eq!(*self.events.lock().unwrap(), expected);
    }
}

#[test]
fn a_stopped_guest_stands_still_and_goes_on() {
    let mut bench = Bench::running(&COUNT);
    for _ in 0..20 {
        bench.wait_for_counting();
        bench.machine.stop(RunState::Paused);
        let (count, time) = (bench.counter(), bench.machine.clock().now());
        assert_eq!(
            (bench.counter(), bench.machine.clock().now()),
            (count, time)
        );
        assert_eq!(bench.machine.run_state(), RunState::Paused);
        bench.machine.start().unwrap();
    }
    bench.wait_for_counting();
    assert_eq!(bench.events.lock().unwrap().len(), 41);
}

#[test]
fn stopping_and_starting_twice_is_once() {
    let mut bench = Bench::running(&COUNT);
    bench.machine.start().unwrap();
    bench.machine.stop(RunState::Paused);
    bench.machine.stop(RunState::IoError);
    assert_eq!(bench.machine.run_state(), RunState::Paused);
    bench.check_events(&[Event::Resume, Event::Stop]);
}

#[test]
fn a_hart_can_be_looked_at_while_it_runs() {
    let bench = Bench::running(&COUNT);
    bench.wait_for_counting();
    let pc = bench.machine.with_hart(0, |hart| hart.state().pc).unwrap();
    assert!((0x8020_0000..0x8020_001c).contains(&pc), "{pc:#x}");
    assert!(bench.machine.with_hart(1, |_| ()).is_err());
    let mut code = [0; 4];
    bench
        .machine
        .read_virtual(0, 0x8020_0000, &mut code)
        .unwrap();
    assert_eq!(u32::from_le_bytes(code), COUNT[0]);
    assert!(bench.machine.read_virtual(0, 0x10, &mut code).is_err());
    bench.wait_for_counting();
}

#[test]
fn code_written_from_outside_runs() {
    let mut bench = Bench::running(&COUNT);
    bench.wait_for_counting();
    let code: Vec<u8> = finish(0x5555)
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    // Behind the loop first, then a jump to it where the loop goes round.
    bench.machine.write_physical(0x8020_0100, &code);
    bench
        .machine
        .write_physical(0x8020_0018, &0x0e80_006fu32.to_le_bytes());
    assert_eq!(bench.serve(), Progress::Exit(0));
}

#[test]
fn a_reset_puts_programs_back() {
    let mut bench = Bench::running(&COUNT);
    bench.wait_for_counting();
    bench.machine.write_physical(0x8020_0000, &[0; 28]);
    assert_eq!(
        bench.machine.reset(ShutdownCause::HostQmpSystemReset),
        Progress::Continue
    );
    bench.wait_for_counting();
    bench.machine.stop(RunState::Paused);
    assert_eq!(
        bench.machine.reset(ShutdownCause::HostQmpSystemReset),
        Progress::Continue
    );
    assert_eq!(bench.machine.run_state(), RunState::Prelaunch);
    let reset = Event::Reset(ShutdownCause::HostQmpSystemReset);
    bench.check_events(&[Event::Resume, reset, Event::Stop, reset]);
}

#[test]
fn a_guest_powers_off() {
    let mut bench = Bench::running(&finish(0x5555));
    assert_eq!(bench.serve(), Progress::Exit(0));
    bench.check_events(&[Event::Resume, Event::Shutdown(ShutdownCause::GuestShutdown)]);
}

#[test]
fn a_guest_fails_with_a_status() {
    let mut bench = Bench::running(&finish(0x0007_3333));
    assert_eq!(bench.serve(), Progress::Exit(7));
    bench.check_events(&[Event::Resume, Event::Shutdown(ShutdownCause::GuestPanic)]);
}

#[test]
fn a_guest_resets_itself_again_and_again() {
    let mut bench = Bench::running(&finish(0x7777));
    for _ in 0..5 {
        assert_eq!(bench.serve(), Progress::Continue);
    }
    let reset = Event::Reset(ShutdownCause::GuestReset);
    assert!(
        bench
            .events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| **event == reset)
            .count()
            >= 1
    );
    assert_eq!(bench.machine.run_state(), RunState::Running);
}

#[test]
fn a_reset_may_be_a_shutdown_that_pauses() {
    let mut bench = Bench::running(&finish(0x7777));
    bench.machine.actions_mut().reboot = RebootAction::Shutdown;
    bench.machine.actions_mut().shutdown = ShutdownAction::Pause;
    assert_eq!(bench.serve(), Progress::Continue);
    assert_eq!(bench.machine.run_state(), RunState::Shutdown);
    assert!(bench.machine.start().is_err());
    bench.machine.actions_mut().reboot = RebootAction::Reset;
    assert_eq!(
        bench.machine.reset(ShutdownCause::HostQmpSystemReset),
        Progress::Continue
    );
    assert_eq!(bench.machine.run_state(), RunState::Prelaunch);
    bench.machine.start().unwrap();
    let shutdown = Event::Shutdown(ShutdownCause::GuestReset);
    let reset = Event::Reset(ShutdownCause::HostQmpSystemReset);
    let expected = [Event::Resume, shutdown, Event::Stop, reset, Event::Resume];
    assert_eq!(bench.events.lock().unwrap()[..5], expected);
    assert_eq!(
        bench.machine.quit(ShutdownCause::HostQmpQuit),
        Progress::Exit(0)
    );
}

/// Enables the button's pin, waits for it to rise, and powers off.
const WAIT_FOR_BUTTON: [u32; 9] = [
    0x1020_02b7, // lui  t0, 0x10200
    0x0010_0313, // li   t1, 1
    0x0062_a223, // sw   t1, 4(t0)
    0x0002_a383, // lw   t2, 0(t0)
    0xfe03_8ee3, // beqz t2, -4
    0x0010_02b7, // lui  t0, 0x100
    0x0000_5337, // lui  t1, 5
    0x5553_0313, // addi t1, t1, 0x555
    0x0062_a023, // sw   t1, 0(t0)
];

#[test]
fn a_guest_sees_the_power_button() {
    let kernel = Some(program(&WAIT_FOR_BUTTON));
    let config = MachineConfig {
        kernel,
        power_button: true,
        ..MachineConfig::default()
    };
    let mut bench = Bench::new(config);
    bench.machine.start().unwrap();
    // The guest samples the pin only once it runs, so the press may have to be repeated.
    while bench.wakes.recv_timeout(Duration::from_millis(20)).is_err() {
        bench.machine.power_down();
    }
    assert_eq!(bench.machine.process_requests(), Progress::Exit(0));
    assert!(bench.events.lock().unwrap().contains(&Event::Powerdown));
}

#[test]
fn machine_mode_starts_in_the_mask_rom() {
    let kernel = Some(program(&finish(0x5555)));
    let mut bench = Bench::new(MachineConfig {
        kernel,
        bios: Bios::None,
        cpus: 4,
        ..MachineConfig::default()
    });
    assert_eq!(
        bench.machine.with_hart(3, |hart| hart.state().pc).unwrap(),
        0x1000
    );
    bench.machine.start().unwrap();
    assert_eq!(bench.serve(), Progress::Exit(0));
    assert_eq!(bench.machine.thread_ids().filter(|id| *id > 0).count(), 4);
}

#[test]
fn under_qtest_no_hart_runs() {
    let config = MachineConfig {
        kernel: Some(program(&COUNT)),
        accelerator: Accelerator::Qtest,
        ..MachineConfig::default()
    };
    let mut bench = Bench::new(config);
    bench.machine.start().unwrap();
    assert_eq!(bench.machine.run_state(), RunState::Running);
    bench.machine.stop(RunState::Paused);
    assert_eq!((bench.counter(), bench.machine.clock().now()), (0, 0));
}

#[test]
fn a_machine_without_a_board_still_has_a_run_state() {
    let mut bench = Bench::new(MachineConfig {
        board: BoardKind::None,
        ..MachineConfig::default()
    });
    assert!(bench.machine.device_tree().is_err());
    bench.machine.start().unwrap();
    bench.machine.requests().powerdown();
    bench.machine.requests().stop(RunState::Paused);
    assert_eq!(bench.serve(), Progress::Continue);
    bench.machine.requests().quit(ShutdownCause::HostSignal);
    assert_eq!(bench.serve(), Progress::Exit(0));
    let shutdown = Event::Shutdown(ShutdownCause::HostSignal);
    bench.check_events(&[Event::Resume, Event::Powerdown, Event::Stop, shutdown]);
}

#[test]
fn bad_configurations_are_refused() {
    let check = |config: MachineConfig, message: &str| {
        let refusal = Machine::new(config, Box::new(|_| ()))
            .err()
            .expect("refused");
        assert!(refusal.to_string().starts_with(message), "{refusal}");
    };
    let file = || Payload::File("/nonexistent".into());
    let base = MachineConfig::default;
    check(
        MachineConfig {
            kernel: Some(file()),
            ..base()
        },
        "could not load kernel '/nonexistent'",
    );
    check(
        MachineConfig {
            bios: Bios::File("/nonexistent".into()),
            ..base()
        },
        "Unable to find the RISC-V BIOS \"/nonexistent\"",
    );
    check(
        MachineConfig {
            kernel: Some(program(&COUNT)),
            initrd: Some("/nonexistent".into()),
            ..base()
        },
        "could not load ramdisk '/nonexistent'",
    );
    check(
        MachineConfig {
            cpus: 513,
            ..base()
        },
        "Invalid SMP CPUs 513. The max CPUs supported by machine 'virt' is 512",
    );
    check(
        MachineConfig {
            dtb: Some("/dev/null".into()),
            ..base()
        },
        "could not load device tree",
    );
}
