//! From instruction bits to [`Op`]s, one file per group of formats.
//!
//! Compressed instructions are expanded to their full forms first. Writes to x0 go to a register
//! that nothing reads; what has no other effect becomes a no-op.

mod atomic;
mod base;
mod bitmanip;
mod compressed;
pub(crate) mod fields;
mod float;
mod system;

use crate::code::{Handler, Op};
use crate::exec;
use crate::isa::{Extension, Isa};
use crate::state::DISCARD;
use fields::Fields;

/// Where an instruction is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its offset in the page.
    pub(crate) offset: u16,
    /// Whether branches may go to other ops of the same page by displacement.
    pub(crate) near: bool,
}

/// A decoded instruction.
pub(crate) struct Decoded {
    pub(crate) op: Op,
    /// Whether what follows it is reached by jumps only.
    pub(crate) ends: bool,
}

/// What the decoders of the formats share.
#[derive(Clone, Copy)]
struct Context<'a> {
    isa: &'a Isa,
    place: Place,
    /// Whether the instruction has 4 bytes.
    wide: bool,
}

/// Picks the instance of a handler for the instruction's length.
macro_rules! sized {
    ($context:expr, $handler:ident $(, $parameter:ty)*) => {
        if $context.wide {
            $crate::exec::$handler::<$($parameter,)* 2> as $crate::code::Handler
        } else {
            $crate::exec::$handler::<$($parameter,)* 1> as $crate::code::Handler
        }
    };
}
use sized;

/// Whether an instruction that begins with these bits has 4 bytes.
pub(crate) const fn is_wide(bits: u32) -> bool {
    bits & 3 == 3
}

/// Decodes one instruction; what is none becomes an op that raises the exception.
pub(crate) fn decode(bits: u32, place: Place, isa: &Isa) -> Decoded {
    let wide = is_wide(bits);
    let context = Context { isa, place, wide };
    let full = if wide {
        Some(bits)
    } else {
        expand(bits as u16, isa)
    };
    let decoded = full.and_then(|full| major(Fields(full), context));
    decoded.unwrap_or_else(|| illegal(bits))
}

/// The full instruction that a compressed one stands for.
pub(crate) fn expand(bits: u16, isa: &Isa) -> Option<u32> {
    isa.has(Extension::C)
        .then(|| compressed::expand(bits, isa))
        .flatten()
}

/// Dispatches on the major opcode (unpriv table "RISC-V base opcode map").
fn major(fields: Fields, context: Context<'_>) -> Option<Decoded> {
    let op = match fields.opcode() {
        0x03 => base::load(fields, context)?,
        0x07 => float::load(fields, context)?,
        0x0f => return system::fence(fields, context),
        0x13 => base::immediate(fields, context)?,
        0x17 => base::auipc(fields, context),
        0x1b => base::immediate_word(fields, context)?,
        0x23 => base::store(fields, context)?,
        0x27 => float::store(fields, context)?,
        0x2f => atomic::atomic(fields, context)?,
        0x33 => base::register(fields, context)?,
        0x37 => base::lui(fields, context),
        0x3b => base::register_word(fields, context)?,
        0x43 | 0x47 | 0x4b | 0x4f => float::fused(fields, context)?,
        0x53 => float::operation(fields, context)?,
        0x63 => base::branch(fields, context)?,
        0x67 => return base::jalr(fields, context),
        0x6f => return Some(base::jal(fields, context)),
        0x73 => return system::system(fields, context),
        _ => return None,
    };
    Some(Decoded { op, ends: false })
}

fn illegal(bits: u32) -> Decoded {
    let op = op(exec::illegal, 0, 0, bits as i32);
    Decoded { op, ends: true }
}

/// An op without a number yet.
fn op(run: Handler, a: u8, b: u8, imm: i32) -> Op {
    Op {
        run,
        imm,
        order: 0,
        a,
        b,
    }
}

/// Where the result for integer register `rd` goes.
fn destination(rd: u8) -> u8 {
    if rd == 0 { DISCARD } else { rd }
}

fn nop(context: Context<'_>) -> Op {
    op(sized!(context, nop), 0, 0, 0)
}
