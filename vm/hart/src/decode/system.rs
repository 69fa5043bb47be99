//! Fences, cache blocks, CSR accesses and privileged instructions (unpriv "Zicsr", "Zicbo*",
//! priv §3.3, §12.2).

use super::fields::Fields;
use super::{Context, Decoded, destination, nop, op, sized};
use crate::exec::system::{Clear, Set, Write};
use crate::isa::Extension;

pub(super) fn fence(fields: Fields, context: Context<'_>) -> Option<Decoded> {
    const PAUSE: u32 = 0x0100_000f;
    let ends = false;
    let op = match fields.funct3() {
        0 if fields.0 == PAUSE => op(sized!(context, pause), 0, 0, 0),
        0 => op(sized!(context, fence), 0, 0, 0),
        1 if context.isa.has(Extension::Zifencei) => {
            op(sized!(context, fence_instructions), 0, 0, 0)
        }
        2 if fields.rd() == 0 => match fields.funct12() {
            0..=2 if context.isa.has(Extension::Zicbom) => {
                let operation = fields.funct12() as i32;
                op(sized!(context, cache_block), 0, fields.rs1(), operation)
            }
            4 if context.isa.has(Extension::Zicboz) => {
                op(sized!(context, zero_block), 0, fields.rs1(), 0)
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(Decoded { op, ends })
}

pub(super) fn system(fields: Fields, context: Context<'_>) -> Option<Decoded> {
    let (rd, rs1) = (destination(fields.rd()), fields.rs1());
    let number = fields.funct12() as i32;
    let run = match fields.funct3() {
        0 => return privileged(fields, context),
        1 => sized!(context, csr_register, Write),
        2 => sized!(context, csr_register, Set),
        3 => sized!(context, csr_register, Clear),
        5 => sized!(context, csr_immediate, Write),
        6 => sized!(context, csr_immediate, Set),
        7 => sized!(context, csr_immediate, Clear),
        _ => return None,
    };
    Some(Decoded {
        op: op(run, rd, rs1, number),
        ends: false,
    })
}

fn privileged(fields: Fields, context: Context<'_>) -> Option<Decoded> {
    const SFENCE_VMA: u32 = 0x09;
    const SINVAL_VMA: u32 = 0x0b;
    if fields.rd() != 0 {
        return None;
    }
    let invalidates = context.isa.has(Extension::Svinval);
    if fields.funct7() == SFENCE_VMA || fields.funct7() == SINVAL_VMA && invalidates {
        let op = op(
            sized!(context, fence_translations),
            fields.rs2(),
            fields.rs1(),
            0,
        );
        return Some(Decoded { op, ends: false });
    }
    if fields.rs1() != 0 {
        return None;
    }
    let (run, ends) = match fields.funct12() {
        0x000 => (sized!(context, environment_call), true),
        0x001 => (sized!(context, environment_break), true),
        0x102 => (sized!(context, return_supervisor), true),
        0x302 => (sized!(context, return_machine), true),
        0x180 | 0x181 if invalidates => (sized!(context, order_invalidation), false),
        0x105 => (sized!(context, wait_for_interrupt), false),
        0x00d | 0x01d if context.isa.has(Extension::Zawrs) => {
            return Some(wait_on_reservation(context));
        }
        _ => return None,
    };
    Some(Decoded {
        op: op(run, 0, 0, 0),
        ends,
    })
}

/// `wrs.nto` and `wrs.sto` may end at any time (unpriv "Zawrs"): they let other threads run.
fn wait_on_reservation(context: Context<'_>) -> Decoded {
    let op = op(sized!(context, pause), 0, 0, nop(context).imm);
    Decoded { op, ends: false }
}
