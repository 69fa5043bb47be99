//! Loads and stores.

use super::proceed;
use crate::Hart;
use crate::code::Cursor;

/// The memory side of a load or store, and how a loaded value fills a register.
pub(crate) trait Access {
    const SIZE: u64;

    fn extend(value: u64) -> u64;
}

macro_rules! access {
    ($($name:ident $size:literal |$value:ident| $extended:expr;)*) => {$(
        pub(crate) struct $name;
        impl Access for $name {
            const SIZE: u64 = $size;

            #[inline(always)]
            fn extend($value: u64) -> u64 {
                $extended
            }
        }
    )*};
}

access! {
    U8 1 |value| value;
    U16 2 |value| value;
    U32 4 |value| value;
    I8 1 |value| value as i8 as i64 as u64;
    I16 2 |value| value as i16 as i64 as u64;
    I32 4 |value| value as i32 as i64 as u64;
    I64 8 |value| value;
    Single 4 |value| value | 0xffff_ffff_0000_0000;
}

pub(crate) fn load<A: Access, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let address = hart.state.registers.file[op.b()].wrapping_add(op.imm());
    let Some(value) = hart.mmu.load_fast::<A>(address) else {
        return load_slowly::<A, N>(hart, op);
    };
    hart.state.registers.file[op.a()] = A::extend(value);
    proceed!(hart, op, N)
}

#[cold]
#[inline(never)]
fn load_slowly<A: Access, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let address = hart.state.registers.file[op.b()].wrapping_add(op.imm());
    match hart.load(address, A::SIZE as u8) {
        Ok(value) => hart.state.registers.file[op.a()] = A::extend(value),
        Err(trap) => return hart.raise(op, trap),
    }
    proceed!(hart, op, N)
}

pub(crate) fn store<A: Access, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &hart.state.registers.file;
    let address = file[op.b()].wrapping_add(op.imm());
    if !hart.mmu.store_fast::<A>(address, file[op.a()]) {
        return store_slowly::<A, N>(hart, op);
    }
    proceed!(hart, op, N)
}

#[cold]
#[inline(never)]
fn store_slowly<A: Access, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &hart.state.registers.file;
    let (address, value) = (file[op.b()].wrapping_add(op.imm()), file[op.a()]);
    if let Err(trap) = hart.store(address, A::SIZE as u8, value) {
        return hart.raise(op, trap);
    }
    proceed!(hart, op, N)
}

pub(crate) fn load_float<A: Access, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    if !hart.float_on {
        return hart.turn_float_on(op);
    }
    load::<A, N>(hart, op)
}

pub(crate) fn store_float<A: Access, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    if !hart.float_on {
        return hart.turn_float_on(op);
    }
    store::<A, N>(hart, op)
}
