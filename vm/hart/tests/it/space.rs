//! The address space may change under a hart.

use std::sync::Arc;

use tinamou_memory::{Ram, Region};

use crate::asm::*;
use crate::rig::{RAM, Rig};

const EXTRA: u64 = 0x4000_0000;

#[test]
fn regions_come_and_go() {
    let mut rig = Rig::single();
    let code = [li(S0, EXTRA), vec![ld(A0, S0, 0), addi(A1, A1, 1)], exit()];
    rig.load(RAM, &code.concat());
    rig.load(RAM + 0x1000, &[vec![addi(A0, ZERO, -1)], exit()].concat());
    rig.hart().modify(|state| state.csrs.mtvec = RAM + 0x1000);
    for (content, expected) in [(Some(5), 5), (Some(6), 6), (None, u64::MAX), (Some(7), 7)] {
        let extra = content.map(|content| {
            let ram = Ram::new(0x1000).unwrap();
            ram.store(0, 8, content).unwrap();
            rig.space
                .add(Region::ram("extra", EXTRA, Arc::new(ram)))
                .unwrap()
        });
        let hart = rig.hart();
        hart.modify(|state| state.pc = RAM);
        hart.control().flush_translations();
        hart.control().resume();
        rig.run();
        assert_eq!(rig.x(A0 as u8), expected);
        if let Some(extra) = extra {
            assert!(rig.space.remove(extra));
        }
    }
    assert_eq!(rig.x(A1 as u8), 3);
}
