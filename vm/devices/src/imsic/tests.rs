use super::*;

fn board() -> (Imsic, Vec<IrqLine>) {
    let outputs = vec![IrqLine::unconnected(), IrqLine::unconnected()];
    (Imsic::new(0x2800_0000, outputs.clone()), outputs)
}

/// Enables every identity of a file and its delivery.
fn open(file: &InterruptFile) {
    for select in (0xc0..0xc8).step_by(2) {
        file.access(select, Some(&|_| u64::MAX));
    }
    file.access(0x70, Some(&|_| 1));
}

#[test]
fn a_message_interrupts_its_hart_until_claimed() {
    let (imsic, outputs) = board();
    imsic.files().iter().for_each(|file| open(file));
    imsic.send(0x2800_1000, 200);
    imsic.write(0x1000, 4, 9);
    assert!(!outputs[0].level() && outputs[1].level());
    let file = &imsic.files()[1];
    assert_eq!(file.top(false), 9 << 16 | 9, "the lower number first");
    assert_eq!(
        [file.top(true), file.top(true), file.top(true)],
        [9 << 16 | 9, 200 << 16 | 200, 0]
    );
    assert!(!outputs[1].level());
}

#[test]
fn delivery_enable_and_threshold_hold_back() {
    let (imsic, outputs) = board();
    let file = &imsic.files()[0];
    file.set_pending(70);
    assert_eq!((file.top(false), outputs[0].level()), (0, false));
    file.access(0xc2, Some(&|old| old | 1 << 6));
    assert_eq!(
        (file.top(false), outputs[0].level()),
        (70 << 16 | 70, false)
    );
    file.access(0x70, Some(&|_| 1));
    assert!(outputs[0].level());
    file.access(0x72, Some(&|_| 70));
    assert_eq!((file.top(false), outputs[0].level()), (0, false));
    file.access(0x72, Some(&|_| 71));
    assert!(outputs[0].level());
}

#[test]
fn registers_keep_what_exists() {
    let (imsic, _) = board();
    let file = &imsic.files()[0];
    let check = |select: u64, written: u64, read: Option<u64>| {
        file.access(select, Some(&|_| written));
        assert_eq!(file.access(select, None), read, "at {select:#x}");
    };
    check(0x70, 3, Some(1));
    check(0x71, 1, None);
    check(0x72, u64::MAX, Some(255));
    check(0x80, u64::MAX, Some(u64::MAX - 1));
    check(0x81, 1, None);
    check(0x86, u64::MAX, Some(u64::MAX));
    check(0x88, u64::MAX, Some(0));
    check(0xfe, u64::MAX, Some(0));
    check(0x100, 1, None);
    check(0x30, 1, None);
}

#[test]
fn strange_messages_are_dropped() {
    let (imsic, outputs) = board();
    imsic.files().iter().for_each(|file| open(file));
    for (address, data) in [
        (0x2800_0000, 0),
        (0x2800_0000, 256),
        (0x2800_0004, 1),
        (0x2800_2000, 1),
        (0, 1),
    ] {
        imsic.send(address, data);
    }
    imsic.write(0, 8, 1);
    assert_eq!(imsic.read(0, 4), 0);
    assert!(outputs.iter().all(|output| !output.level()));
    imsic.files()[0].set_pending(1);
    imsic.reset();
    assert_eq!(imsic.files()[0].access(0x80, None), Some(0));
    assert!(!outputs[0].level());
}
