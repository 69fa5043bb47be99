use super::*;

fn board(harts: usize) -> (Arc<Clock>, Arc<Clint>, Vec<HartPins>) {
    let clock = Clock::new();
    let pin = || HartPins {
        software: IrqLine::unconnected(),
        timer: IrqLine::unconnected(),
    };
    let pins: Vec<_> = (0..harts).map(|_| pin()).collect();
    let clint = Clint::new(Arc::new(TimeBase::new(Arc::clone(&clock))), pins.clone());
    (clock, clint, pins)
}

#[test]
fn msip_drives_the_software_pin() {
    let (_, clint, pins) = board(2);
    clint.write(4, 4, 0xffff_ffff);
    assert_eq!((clint.read(0, 4), clint.read(4, 4)), (0, 1));
    assert!(!pins[0].software.level() && pins[1].software.level());
    clint.write(4, 4, 2);
    assert!(!pins[1].software.level());
    clint.write(0, 8, 0x1_0000_0001);
    assert!(pins[0].software.level() && pins[1].software.level());
    clint.write(8, 4, 1);
    assert_eq!(clint.read(8, 4), 0);
}

#[test]
fn mtime_follows_the_clock_and_can_be_set() {
    let (clock, clint, _) = board(1);
    clock.step_to(1_000_000);
    assert_eq!(clint.read(MTIME, 8), 10_000);
    clint.write(MTIME, 8, 0xffff_ffff);
    clock.step_to(1_000_100);
    assert_eq!(clint.read(MTIME, 8), 0x1_0000_0000);
    assert_eq!((clint.read(MTIME, 4), clint.read(MTIME + 4, 4)), (0, 1));
    clint.write(MTIME + 4, 4, 5);
    assert_eq!(clint.read(MTIME, 8), 0x5_0000_0000);
}

#[test]
fn the_timer_pin_rises_when_mtimecmp_is_reached() {
    let (clock, clint, pins) = board(2);
    clint.write(MTIMECMP + 8, 8, 50);
    assert!(!pins[1].timer.level());
    assert_eq!(clock.next_deadline(), Some(5_000));
    clock.step_to(4_999);
    assert!(!pins[1].timer.level());
    clock.step_to(5_000);
    assert!(pins[1].timer.level());
    clint.write(MTIMECMP + 12, 4, 1);
    assert!(!pins[1].timer.level());
    assert_eq!(clint.read(MTIMECMP + 8, 8), 0x1_0000_0032);
    clint.write(MTIMECMP + 8, 8, u64::MAX);
    assert_eq!(clock.next_deadline(), None);
}

#[test]
fn no_access_panics() {
    let (_, clint, _) = board(1);
    for offset in 0..SIZE {
        for size in [1, 2, 4, 8] {
            clint.write(offset, size, u64::MAX);
            clint.read(offset, size);
        }
    }
}
