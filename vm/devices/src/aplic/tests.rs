use super::*;

const CLAIM: u64 = 0x401c;

#[derive(Default)]
struct Log(Mutex<Vec<(u64, u32)>>);

impl MsiSink for Log {
    fn send(&self, address: u64, data: u32) {
        self.0.lock().unwrap().push((address, data));
    }
}

impl Log {
    fn take(&self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Board {
    aplic: Arc<Aplic>,
    machine: Window,
    supervisor: Window,
    pins: Vec<IrqLine>,
    log: Arc<Log>,
}

impl Board {
    fn new(messages: bool) -> Self {
        let pins: Vec<_> = (0..4).map(|_| IrqLine::unconnected()).collect();
        let log = Arc::new(Log::default());
        let aplic = Aplic::new(if messages {
            Delivery::Messages(log.clone())
        } else {
            Delivery::Direct {
                machine: pins[..2].to_vec(),
                supervisor: pins[2..].to_vec(),
            }
        });
        Self {
            machine: Window::new(Arc::clone(&aplic), Level::Machine),
            supervisor: Window::new(Arc::clone(&aplic), Level::Supervisor),
            aplic,
            pins,
            log,
        }
    }

    /// Everything delegated, the domain on, hart 1 listening, a source of that mode enabled.
    fn ready(messages: bool, source: u64, mode: u64) -> Self {
        let board = Self::new(messages);
        board.aplic.delegate(0x2800_0000, 2);
        for (offset, value) in [
            (0, 0x100),
            (source * 4, mode),
            (0x3000 + source * 4, (1 << 18) | (source % 8)),
            (0x1edc, source),
            (0x4020, 1),
        ] {
            board.supervisor.write(offset, 4, value);
        }
        board
    }
}

#[test]
fn a_level_asks_until_it_falls() {
    let board = Board::ready(false, 10, 6);
    board.aplic.set_level(10, true);
    assert!(board.pins[3].level() && !board.pins[2].level());
    let claim = || board.supervisor.read(CLAIM + 0x20, 4);
    assert_eq!(claim(), 10 << 16 | 2);
    assert_eq!(claim(), 10 << 16 | 2, "a level is not claimed away");
    board.supervisor.write(0x1ddc, 4, 10);
    assert!(board.pins[3].level());
    board.aplic.set_level(10, false);
    assert!(!board.pins[3].level());
    assert_eq!(claim(), 0);
}

#[test]
fn an_edge_asks_once() {
    for (mode, levels) in [(4, [false, true]), (5, [true, false])] {
        let board = Board::ready(false, 40, mode);
        for level in levels {
            board.aplic.set_level(40, level);
        }
        assert_eq!(board.supervisor.read(0x1c04, 4), 1 << 8);
        assert_eq!(board.supervisor.read(CLAIM + 0x20, 4), 40 << 16 | 1);
        assert!(!board.pins[3].level());
        board.supervisor.write(0x1cdc, 4, 40);
        assert!(board.pins[3].level(), "software asks for it");
        board.supervisor.write(0x1f04, 4, 1 << 8);
        assert!(!board.pins[3].level(), "it is disabled");
    }
}

#[test]
fn priority_wins_then_the_lower_number() {
    let board = Board::ready(false, 5, 1);
    for (source, priority) in [(5, 3), (7, 2), (9, 2)] {
        board.supervisor.write(source * 4, 4, 1);
        board
            .supervisor
            .write(0x3000 + source * 4, 4, 1 << 18 | priority);
        board.supervisor.write(0x1edc, 4, source);
        board.supervisor.write(0x2000, 4, source);
    }
    let claim = || board.supervisor.read(CLAIM + 0x20, 4) >> 16;
    assert_eq!([claim(), claim(), claim(), claim()], [7, 9, 5, 0]);
    board.supervisor.write(0x2000, 4, 5);
    board.supervisor.write(0x4028, 4, 3);
    assert!(!board.pins[3].level(), "3 is not below the threshold");
    board.supervisor.write(0x4028, 4, 0);
    assert!(board.pins[3].level());
    board.supervisor.write(0x4020, 4, 0);
    board.supervisor.write(0x4024, 4, 1);
    assert!(!board.pins[3].level(), "it is not delivered");
}

#[test]
fn a_message_is_sent_once_per_rise() {
    let board = Board::ready(true, 33, 6);
    let sent = (0x2800_1000, 1);
    board.aplic.set_level(33, true);
    assert_eq!(board.log.take(), [sent]);
    assert_eq!(
        board.supervisor.read(0x1c04, 4),
        0,
        "it is not pending any more"
    );
    board.supervisor.write(0x2000, 4, 33);
    assert_eq!(board.log.take(), [sent], "the wire is still high");
    board.aplic.set_level(33, false);
    board.supervisor.write(0x2000, 4, 33);
    assert_eq!(board.log.take(), []);
    board.supervisor.write(0x3000, 4, 7);
    assert_eq!(board.log.take(), [(0x2800_0000, 7)]);
    assert_eq!(board.supervisor.read(0, 4), 0x8000_0104);
}

#[test]
fn firmware_says_where_messages_go() {
    let board = Board::new(true);
    for (offset, value) in [
        (0x1bc0, 0x24000),
        (0x1bc4, 0x0021_2000),
        (0x1bc8, 0x28000),
        (0x1bcc, 0x0010_0000),
    ] {
        board.machine.write(offset, 4, value);
        assert_eq!(board.machine.read(offset, 4), value);
        assert_eq!(board.supervisor.read(offset, 4), 0);
    }
    let target = |hart: u32| hart << 18 | 5;
    let state = board.aplic.lock();
    let addresses = state.addresses;
    assert_eq!(addresses.of(Level::Machine, target(3)), 0x2400_c000);
    assert_eq!(addresses.of(Level::Supervisor, target(3)), 0x2800_6000);
    assert_eq!(addresses.of(Level::Supervisor, target(4)), 0x2900_0000);
    drop(state);
    board.machine.write(0x1bc4, 4, 1 << 31);
    board.machine.write(0x1bc0, 4, 0);
    assert_eq!(board.machine.read(0x1bc0, 4), 0x24000, "they are locked");
}

#[test]
fn only_delegated_sources_are_the_childs() {
    let board = Board::new(false);
    board.supervisor.write(4 * 3, 4, 6);
    assert_eq!(board.supervisor.read(4 * 3, 4), 0);
    board.machine.write(4 * 3, 4, 0x400);
    board.supervisor.write(4 * 3, 4, 6);
    assert_eq!(board.supervisor.read(4 * 3, 4), 6);
    board.machine.write(4 * 3, 4, 4);
    assert_eq!(
        (board.machine.read(12, 4), board.supervisor.read(12, 4)),
        (4, 0)
    );
    board.machine.write(4 * 3, 4, 0x401);
    assert_eq!(board.machine.read(12, 4), 4, "there is no child 1");
}

#[test]
fn no_access_panics() {
    for messages in [false, true] {
        let board = Board::ready(messages, 1, 7);
        for offset in (0..0x4100).chain(SIZE - 64..SIZE + 64) {
            for size in [1, 2, 4, 8] {
                for window in [&board.machine, &board.supervisor] {
                    window.write(offset, size, u64::MAX);
                    window.read(offset, size);
                    window.write(offset, size, 1);
                }
            }
        }
        (0..200).for_each(|source| board.aplic.set_level(source, true));
        board.aplic.reset();
        assert_eq!(board.machine.read(4, 4), 0);
    }
}
