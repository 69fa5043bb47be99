//! Atomics (unpriv "A"). The ordering bits need nothing: the handlers are sequentially consistent.

use super::fields::Fields;
use super::{Context, destination, op, sized};
use crate::code::Op;
use crate::exec::atomic::{
    AmoAdd, AmoAnd, AmoMax, AmoMaxu, AmoMin, AmoMinu, AmoOr, AmoSwap, AmoXor,
};
use crate::isa::Extension;

pub(super) fn atomic(fields: Fields, context: Context<'_>) -> Option<Op> {
    if !context.isa.has(Extension::A) {
        return None;
    }
    let double = match fields.funct3() {
        2 => false,
        3 => true,
        _ => return None,
    };
    macro_rules! pick {
        ($handler:ident $(, $operation:ty)*) => {
            if double {
                sized!(context, $handler $(, $operation)*, u64)
            } else {
                sized!(context, $handler $(, $operation)*, u32)
            }
        };
    }
    let run = match fields.funct7() >> 2 {
        0x00 => pick!(amo, AmoAdd),
        0x01 => pick!(amo, AmoSwap),
        0x02 if fields.rs2() == 0 => pick!(load_reserved),
        0x03 => pick!(store_conditional),
        0x04 => pick!(amo, AmoXor),
        0x08 => pick!(amo, AmoOr),
        0x0c => pick!(amo, AmoAnd),
        0x10 => pick!(amo, AmoMin),
        0x14 => pick!(amo, AmoMax),
        0x18 => pick!(amo, AmoMinu),
        0x1c => pick!(amo, AmoMaxu),
        _ => return None,
    };
    let rd = destination(fields.rd());
    Some(op(run, rd, fields.rs1(), fields.rs2().into()))
}
