//! Reads the memory size from the flattened device tree (Devicetree Specification §5).
//!
//! Whoever made the tree is not trusted: every step stays within the blocks that the header
//! describes, and a tree that ends early only ends the search.

use crate::asm::*;

const MAGIC: i64 = 0xd00d_feed;
/// A tree larger than this is not believed.
const LARGEST: i64 = 1 << 20;
const BEGIN_NODE: i64 = 1;
const END_NODE: i64 = 2;
const PROPERTY: i64 = 3;
const NOP: i64 = 4;

/// The next byte of the structure block.
const CURSOR: Reg = A0;
/// The end of the structure block.
const END: Reg = A1;
/// The strings block and its size; its last byte is a zero.
const STRINGS: Reg = A2;
const STRINGS_SIZE: Reg = A3;
/// How many nodes are open.
const DEPTH: Reg = A4;
/// The cells of an address and of a size below the root.
const ADDRESS_CELLS: Reg = A5;
const SIZE_CELLS: Reg = A6;
/// The bytes of memory so far.
const SUM: Reg = A7;
/// Whether the innermost node describes memory.
const IN_MEMORY: Reg = T6;
/// The value of the current property and its length.
const VALUE: Reg = T2;
const LENGTH: Reg = T3;
/// The name of the current property.
const NAME: Reg = T4;

/// The subroutine and its parts.
pub(super) struct DeviceTree {
    /// The memory size of the tree at `a0`, in `a0`; zero when the tree does not tell. Changes `a`
    /// and `t` registers.
    pub(super) memory_size: Label,
    next: Label,
    done: Label,
}

impl DeviceTree {
    pub(super) fn new(a: &mut Assembler) -> Self {
        Self {
            memory_size: a.label(),
            next: a.label(),
            done: a.label(),
        }
    }

    /// Places the subroutine.
    pub(super) fn place(self, a: &mut Assembler) {
        let (node, property, end_node) = (a.label(), a.label(), a.label());
        a.bind(self.memory_size);
        self.check_header(a);
        a.bind(self.next);
        a.addi(T0, CURSOR, 4);
        a.bltu(END, T0, self.done);
        big_endian(a, T1, 0, CURSOR);
        a.mv(CURSOR, T0);
        for (token, target) in [
            (BEGIN_NODE, node),
            (END_NODE, end_node),
            (PROPERTY, property),
            (NOP, self.next),
        ] {
            a.li(T0, token);
            a.beq(T1, T0, target);
        }
        a.bind(self.done);
        a.mv(A0, SUM);
        a.ret();

        a.bind(node);
        self.begin_node(a);
        a.bind(end_node);
        a.addi(DEPTH, DEPTH, -1);
        a.li(IN_MEMORY, 0);
        a.bge(ZERO, DEPTH, self.done);
        a.j(self.next);
        a.bind(property);
        self.property(a);
    }

    /// Finds the blocks, and makes sure that they are inside the tree.
    fn check_header(&self, a: &mut Assembler) {
        a.mv(T6, A0);
        a.li(SUM, 0);
        a.andi(T0, T6, 7);
        a.bnez(T0, self.done);
        a.beqz(T6, self.done);
        big_endian(a, T1, 0, T6);
        a.li(T0, MAGIC);
        a.bne(T1, T0, self.done);
        big_endian(a, T5, 4, T6);
        a.li(T0, LARGEST);
        a.bltu(T0, T5, self.done);
        big_endian(a, CURSOR, 8, T6);
        big_endian(a, END, 36, T6);
        big_endian(a, STRINGS, 12, T6);
        big_endian(a, STRINGS_SIZE, 32, T6);
        a.add(END, END, CURSOR);
        a.bltu(T5, END, self.done);
        a.add(T0, STRINGS, STRINGS_SIZE);
        a.bltu(T5, T0, self.done);
        for offset in [CURSOR, END, STRINGS] {
            a.add(offset, offset, T6);
        }
        a.beqz(STRINGS_SIZE, self.done);
        a.add(T0, STRINGS, STRINGS_SIZE);
        a.lbu(T0, -1, T0);
        a.bnez(T0, self.done);
        a.li(DEPTH, 0);
        a.li(ADDRESS_CELLS, 2); // the defaults (§2.3.5)
        a.li(SIZE_CELLS, 1);
        a.li(IN_MEMORY, 0);
    }

    /// Looks whether a node below the root is called `memory`, and goes behind the name.
    fn begin_node(&self, a: &mut Assembler) {
        let (skip, memory) = (a.label(), a.label());
        a.addi(DEPTH, DEPTH, 1);
        a.li(IN_MEMORY, 0);
        a.li(T0, 2);
        a.bne(DEPTH, T0, skip);
        a.addi(T0, CURSOR, 8);
        a.bltu(END, T0, self.done);
        big_endian(a, T0, 0, CURSOR);
        a.li(T1, text(b"memo"));
        a.bne(T0, T1, skip);
        big_endian(a, T0, 4, CURSOR);
        a.srli(T0, T0, 8);
        for ending in [b"\0ry@", b"\0ry\0"] {
            a.li(T1, text(ending));
            a.beq(T0, T1, memory);
        }
        a.j(skip);
        a.bind(memory);
        a.li(IN_MEMORY, 1);
        a.bind(skip);
        a.bgeu(CURSOR, END, self.done);
        a.lbu(T0, 0, CURSOR);
        a.addi(CURSOR, CURSOR, 1);
        a.bnez(T0, skip);
        align(a, CURSOR);
        a.j(self.next);
    }

    fn property(&self, a: &mut Assembler) {
        let (in_root, in_memory) = (a.label(), a.label());
        a.addi(VALUE, CURSOR, 8);
        a.bltu(END, VALUE, self.done);
        big_endian(a, LENGTH, 0, CURSOR);
        big_endian(a, NAME, 4, CURSOR);
        a.bgeu(NAME, STRINGS_SIZE, self.done);
        a.add(NAME, NAME, STRINGS);
        a.add(CURSOR, VALUE, LENGTH);
        a.bltu(END, CURSOR, self.done);
        align(a, CURSOR);
        a.bnez(IN_MEMORY, in_memory);
        a.li(T0, 1);
        a.beq(DEPTH, T0, in_root);
        a.j(self.next);
        a.bind(in_root);
        self.cells(a, "#address-cells", ADDRESS_CELLS);
        self.cells(a, "#size-cells", SIZE_CELLS);
        a.j(self.next);
        a.bind(in_memory);
        unless_named(a, "reg", self.next);
        self.sum(a);
    }

    /// Takes the value of a property of that name.
    fn cells(&self, a: &mut Assembler, name: &str, cells: Reg) {
        let other = a.label();
        unless_named(a, name, other);
        a.li(T0, 4);
        a.bne(LENGTH, T0, self.next);
        big_endian(a, cells, 0, VALUE);
        a.bind(other);
    }

    /// Adds the sizes in a `reg`.
    fn sum(&self, a: &mut Assembler) {
        const MOST_CELLS: i64 = 2;
        a.li(T0, MOST_CELLS);
        a.bltu(T0, ADDRESS_CELLS, self.done);
        a.bltu(T0, SIZE_CELLS, self.done);
        a.beqz(SIZE_CELLS, self.done);
        a.add(T5, ADDRESS_CELLS, SIZE_CELLS);
        a.slli(T5, T5, 2);
        let entry = a.here();
        a.bltu(LENGTH, T5, self.next);
        a.sub(LENGTH, LENGTH, T5);
        a.add(VALUE, VALUE, T5);
        // The size's low cell is the last of the entry.
        big_endian(a, T0, -4, VALUE);
        a.add(SUM, SUM, T0);
        a.li(T0, 1);
        a.beq(SIZE_CELLS, T0, entry);
        big_endian(a, T0, -8, VALUE);
        a.slli(T0, T0, 32);
        a.add(SUM, SUM, T0);
        a.j(entry);
    }
}

/// Loads 32 bits in the order of the device tree; changes `gp`.
fn big_endian(a: &mut Assembler, rd: Reg, offset: i64, base: Reg) {
    a.lbu(GP, offset, base);
    for more in 1..4 {
        a.slli(GP, GP, 8);
        a.lbu(TP, offset + more, base);
        a.or(GP, GP, TP);
    }
    a.mv(rd, GP);
}

/// Rounds up to whole cells.
fn align(a: &mut Assembler, register: Reg) {
    a.addi(register, register, 3);
    a.andi(register, register, -4);
}

/// Jumps unless the name is this one. A difference at a zero ends the comparison, so it stays within
/// the strings block.
fn unless_named(a: &mut Assembler, name: &str, target: Label) {
    for (at, byte) in name.bytes().chain([0]).enumerate() {
        a.lbu(T0, at as i64, NAME);
        a.li(T1, i64::from(byte));
        a.bne(T0, T1, target);
    }
}

/// Four characters as [`big_endian`] loads them.
fn text(characters: &[u8; 4]) -> i64 {
    u32::from_be_bytes(*characters).into()
}
