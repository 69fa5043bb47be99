use super::*;

const CLAIM: u64 = 0x20_0004;

/// A PLIC of two contexts with every source enabled in context 0, each at priority 1.
fn board() -> (Arc<Plic>, Vec<IrqLine>) {
    let outputs = vec![IrqLine::unconnected(), IrqLine::unconnected()];
    let plic = Plic::new(outputs.clone());
    for source in 1..SOURCES as u64 {
        plic.write(source * 4, 4, 1);
    }
    for word in 0..WORDS as u64 {
        plic.write(0x2000 + word * 4, 4, u32::MAX.into());
    }
    (plic, outputs)
}

#[test]
fn a_level_is_claimed_once_until_completed() {
    let (plic, outputs) = board();
    plic.set_level(10, true);
    assert!(outputs[0].level() && !outputs[1].level());
    assert_eq!(plic.read(0x1000, 4), 1 << 10);
    assert_eq!((plic.read(CLAIM, 4), plic.read(CLAIM, 4)), (10, 0));
    assert!(!outputs[0].level());
    plic.write(CLAIM, 4, 10);
    assert!(outputs[0].level(), "the wire is still high");
    assert_eq!(plic.read(CLAIM, 4), 10);
    plic.set_level(10, false);
    plic.write(CLAIM, 4, 10);
    assert!(!outputs[0].level());
}

#[test]
fn a_falling_wire_leaves_its_request() {
    let (plic, outputs) = board();
    plic.set_level(33, true);
    plic.set_level(33, false);
    assert!(outputs[0].level());
    assert_eq!(plic.read(CLAIM, 4), 33);
}

#[test]
fn priority_wins_then_the_lower_number() {
    let (plic, outputs) = board();
    for source in [40, 3, 70] {
        plic.set_level(source, true);
    }
    plic.write(70 * 4, 4, 5);
    assert_eq!(
        [
            plic.read(CLAIM, 4),
            plic.read(CLAIM, 4),
            plic.read(CLAIM, 4)
        ],
        [70, 3, 40]
    );
    plic.write(0x20_0000, 4, 5);
    for source in [40, 3, 70] {
        plic.write(CLAIM, 4, source);
    }
    assert!(!outputs[0].level(), "nothing exceeds the threshold");
    plic.write(0x20_0000, 4, 4);
    assert_eq!([plic.read(CLAIM, 4), plic.read(CLAIM, 4)], [70, 0]);
}

#[test]
fn priorities_keep_three_bits_and_source_0_none() {
    let (plic, _) = board();
    let check = |offset, written, read| {
        plic.write(offset, 4, written);
        assert_eq!(plic.read(offset, 4), read, "at {offset:#x}");
    };
    check(0, 7, 0);
    check(4, 15, 7);
    check(96 * 4, 1, 0);
    check(0x20_0000, 0xff, 7);
    check(0x2008, 0xffff_ffff, 0xffff_ffff);
    check(0x200c, 0xffff_ffff, 0);
    check(0x1000, 0xffff_ffff, 0);
    check(0x20_2000, 1, 0);
}

#[test]
fn completing_what_is_not_enabled_is_ignored() {
    let (plic, _) = board();
    plic.set_level(5, true);
    assert_eq!(plic.read(CLAIM, 4), 5);
    plic.write(CLAIM + 0x1000, 4, 5);
    plic.write(CLAIM, 4, 4096);
    assert_eq!(plic.read(CLAIM, 4), 0);
}

#[test]
fn a_reset_remembers_the_wires() {
    let (plic, outputs) = board();
    plic.set_level(5, true);
    plic.reset();
    assert!(!outputs[0].level());
    assert_eq!(plic.read(0x1000, 4), 1 << 5);
}

#[test]
fn no_access_panics() {
    let (plic, _) = board();
    for offset in (0..0x3000)
        .chain(0x1f_fff0..0x20_4000)
        .chain(SIZE - 16..SIZE)
    {
        for size in [1, 2, 4, 8] {
            plic.write(offset, size, u64::MAX);
            plic.read(offset, size);
        }
    }
}
