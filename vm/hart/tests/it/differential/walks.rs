//! Random page tables here and in QEMU must translate, permit and refuse alike, and end with the same accessed and
//! dirty bits.
//!
//! A few tables point at each other and at pages of data, at random. Each record names a root, the bits of `mstatus`
//! and `menvcfg` that matter, a PMP entry, an access and its address. A few lines of machine-mode code take one
//! record after the other, and note the trap, or what was loaded.
//!
//! Left out is what QEMU does otherwise: tables where there is no memory (it takes a page fault for the access
//! fault), the reserved memory type 3 (it takes it for one), tables that PMP keeps from being marked, and accesses that cross a page (the order of the parts).

use tinamou_hart::Isa;

use super::BREAKPOINT;
use super::batch::end;
use super::program::Random;
use super::qemu;
use crate::asm::*;
use crate::rig::{RAM, SIZE};

const CPU: &str = "rv64,h=off,svadu=on,svinval=on,svnapot=on,svpbmt=on";
const RECORDS_PER_BATCH: usize = 8000;

/// Indices into tables: where data is, these count megabytes and pages from the start of RAM.
const INDICES: [u64; 5] = [0, 1, 2, 3, 511];
/// Nothing of the following is in a page that [`INDICES`] or their last hexadecimal digit name.
const DRIVER: u64 = RAM + 0x8_0000;
const RECORDS: u64 = RAM + 0x21_0000;
const TABLES: u64 = RAM + 0x61_0000;
const TABLE_COUNT: u64 = 32;
/// Data pages have `ebreak`s in the first half, for fetches, and data in the second.
const DATA_HALF: u64 = 0x800;

/// A record, as doublewords: what it begins with, then what it ends with.
const SATP: usize = 0;
const MENVCFG: usize = 1;
const MSTATUS: usize = 2;
const ADDRESS: usize = 3;
const KIND: usize = 4;
const PMPCFG: usize = 5;
const PMPADDR: usize = 6;
const VALUE: usize = 7;
const CAUSE: usize = 8;
const TVAL: usize = 9;
const LOADED: usize = 10;
const DOUBLEWORDS: usize = 11;

/// Kinds of access, and the end of the records.
const LOAD: u64 = 0;
const STORE: u64 = 1;
const AMO: u64 = 2;
const FETCH: u64 = 3;
const END: u64 = 4;
/// The cause noted where there was no trap.
const NONE: u64 = u64::MAX;

const ADUE: u64 = 1 << 61;
const PBMTE: u64 = 1 << 62;
const MPRV: u64 = 1 << 17;
const SUM: u64 = 1 << 18;
const MXR: u64 = 1 << 19;

type Record = [u64; DOUBLEWORDS];

fn record(random: &mut Random, value: u64) -> Record {
    let kind = random.pick(&[LOAD, STORE, AMO, FETCH]);
    let mut record = [0; DOUBLEWORDS];
    let mode = random.pick(&[0, 8, 8, 9, 10]);
    record[SATP] = (mode << 60) | ((TABLES >> 12) + random.below(TABLE_COUNT));
    record[MENVCFG] = random.pick(&[0, ADUE, PBMTE, ADUE | PBMTE]);
    let privilege = random.pick(&[0, 1, 1, 3]);
    // A fetch returns to the mode, other accesses borrow its rights; machine mode would not come back from data.
    let privilege = if kind == FETCH {
        privilege & 1
    } else {
        privilege
    };
    let borrowed = if kind == FETCH { 0 } else { MPRV };
    let further = random.pick(&[0, SUM, MXR, SUM | MXR]);
    record[MSTATUS] = privilege << 11 | borrowed | further;
    let translated = mode != 0 && privilege != 3;
    record[ADDRESS] = address(random, if translated { mode } else { 0 }, kind);
    record[KIND] = kind;
    (record[PMPCFG], record[PMPADDR]) = protection(random);
    record[VALUE] = value;
    record[CAUSE] = NONE;
    record
}

fn address(random: &mut Random, mode: u64, kind: u64) -> u64 {
    let offset = match kind {
        FETCH => 4 * random.below(DATA_HALF / 4),
        _ => DATA_HALF + 8 * random.below(DATA_HALF / 8),
    };
    if mode == 0 {
        return data_page(random) + offset;
    }
    let levels = mode - 5;
    let address = (0..levels).fold(offset, |address, level| {
        address | random.pick(&INDICES) << (12 + 9 * level)
    });
    let unused = 64 - (12 + 9 * levels);
    let canonical = ((address << unused) as i64 >> unused) as u64;
    if random.one_in(32) {
        return canonical ^ 1 << (64 - 1 - random.below(unused));
    }
    canonical
}

/// An entry for some pages of data, before one for everything.
fn protection(random: &mut Random) -> (u64, u64) {
    const EVERYTHING: u64 = 0x1f << 8;
    const POWER_OF_TWO: u64 = 3 << 3;
    if !random.one_in(4) {
        return (EVERYTHING, 0);
    }
    let size = random.pick(&[0x1000, 0x2000, 0x1_0000]);
    let rights = random.pick(&[0, 1, 3, 4, 5, 7]);
    let base = data_page(random) & !(size - 1);
    (
        EVERYTHING | POWER_OF_TWO | rights,
        base >> 2 | (size / 8 - 1),
    )
}

fn data_page(random: &mut Random) -> u64 {
    RAM + (random.below(3) << 21) + (random.pick(&INDICES) << 12)
}

fn entry(random: &mut Random) -> u64 {
    const N: u64 = 1 << 63;
    const MARKED: u64 = 0xc0;
    let entry = any_entry(random);
    // QEMU marks entries before it finds their N misplaced.
    if entry & N != 0 {
        entry | MARKED
    } else {
        entry
    }
}

fn any_entry(random: &mut Random) -> u64 {
    const V: u64 = 1;
    const RWX: u64 = 14;
    let table = (TABLES >> 12) + random.below(TABLE_COUNT);
    let page = data_page(random) >> 12;
    match random.below(16) {
        0 => random.next() & !(1 << 61) | 1 << random.pick(&[1, 2, 3]),
        1 => 0,
        2 => table << 10 | V | 1 << random.pick(&[4, 5, 6, 7, 54, 61, 62, 63]),
        3..8 => table << 10 | V,
        kind => {
            // Megabytes and gigabytes are aligned only where their low bits are clear.
            let page = match random.below(3) {
                0 => page & !0x1ff,
                1 => page & !0x3_ffff,
                _ => page,
            };
            let bits = random.pick(&[RWX, RWX, 2, 4, 6, 8, 10, 12]) | random.next() & 0xf0;
            let leaf = page << 10 | V | bits | if random.one_in(2) { 0xc0 } else { 0 };
            match kind {
                8 => leaf & !(0xf << 10) | 1 << 63 | 8 << 10,
                9 => leaf | 1 << random.pick(&[54, 60, 61, 62, 63]),
                10 => leaf | random.below(3) << 61,
                _ => leaf,
            }
        }
    }
}

fn image(random: &mut Random) -> Vec<u8> {
    let mut image = vec![0; SIZE as usize];
    let mut put = |address: u64, words: &[u32]| {
        let start = (address - RAM) as usize;
        for (word, place) in words.iter().zip(image[start..].chunks_exact_mut(4)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    };
    let halves = |value: u64| [value as u32, (value >> 32) as u32];
    for megabyte in 0..3 {
        for page in (0..16).chain([511]) {
            let at = RAM + (megabyte << 21) + (page << 12);
            put(at, &[EBREAK; DATA_HALF as usize / 4]);
            put(at + DATA_HALF, &[at as u32; DATA_HALF as usize / 4]);
        }
    }
    put(RAM, &[jal(ZERO, (DRIVER - RAM) as i32)]);
    put(DRIVER, &driver());
    let mut records: Vec<Record> = (0..RECORDS_PER_BATCH as u64)
        .map(|value| record(random, value))
        .collect();
    let mut last = [0; DOUBLEWORDS];
    last[KIND] = END;
    records.push(last);
    let words: Vec<u32> = records
        .as_flattened()
        .iter()
        .flat_map(|v| halves(*v))
        .collect();
    put(RECORDS, &words);
    for table in 0..TABLE_COUNT {
        for index in INDICES {
            put(TABLES + (table << 12) + 8 * index, &halves(entry(random)));
        }
    }
    image
}

/// The code that goes through the records, with s0 at the one that is tried.
fn driver() -> Vec<u32> {
    const SATP_CSR: u32 = 0x180;
    const MSTATUS_CSR: u32 = 0x300;
    const MTVEC: u32 = 0x305;
    const MENVCFG_CSR: u32 = 0x30a;
    const MEPC: u32 = 0x341;
    const MCAUSE: u32 = 0x342;
    const MTVAL: u32 = 0x343;
    const PMPCFG0: u32 = 0x3a0;
    const PMPADDR0: u32 = 0x3b0;
    const PMPADDR1: u32 = 0x3b1;
    const MHARTID: u32 = 0xf14;
    let offset = |index: usize| 8 * index as i32;
    let set = |csr, index| [ld(T0, S0, offset(index)), csrw(csr, T0)];

    let save = [
        csrw(MSTATUS_CSR, ZERO),
        csrr(A1, MCAUSE),
        csrr(A2, MTVAL),
        // Where there was no trap, this is where it comes from.
        csrw(MSTATUS_CSR, ZERO),
        sd(A1, S0, offset(CAUSE)),
        sd(A2, S0, offset(TVAL)),
        sd(A0, S0, offset(LOADED)),
        addi(S0, S0, 8 * DOUBLEWORDS as i32),
    ];
    let saves_untrapped = 3;
    let prepare = [
        set(SATP_CSR, SATP).to_vec(),
        set(MENVCFG_CSR, MENVCFG).to_vec(),
        set(PMPADDR0, PMPADDR).to_vec(),
        set(PMPCFG0, PMPCFG).to_vec(),
        vec![
            SFENCE_VMA,
            addi(A0, ZERO, 0),
            addi(A1, ZERO, -1),
            addi(A2, ZERO, 0),
            ld(T0, S0, offset(MSTATUS)),
            ld(T1, S0, offset(ADDRESS)),
            ld(T2, S0, offset(KIND)),
            ld(S1, S0, offset(VALUE)),
        ],
    ]
    .concat();
    // Each is followed by the way back, which is skipped too.
    let access = |kind: u64, instruction: u32| {
        vec![
            addi(A6, ZERO, kind as i32),
            bne(T2, A6, 16),
            csrw(MSTATUS_CSR, T0),
            instruction,
        ]
    };
    let fetch = [
        addi(A6, ZERO, FETCH as i32),
        bne(T2, A6, 16),
        csrw(MSTATUS_CSR, T0),
        csrw(MEPC, T1),
        MRET,
    ];
    let start = vec![
        // The second hart is only there because QEMU has real atomics with it.
        csrr(T0, MHARTID),
        beq(T0, ZERO, 12),
        WFI,
        jal(ZERO, -4),
        addi(T0, ZERO, -1),
        csrw(PMPADDR1, T0),
        auipc(S0, (RECORDS - DRIVER) as u32),
        addi(S0, S0, -24),
        auipc(T0, 0),
        // Here is what saves.
        addi(T0, T0, 16),
        csrw(MTVEC, T0),
        jal(ZERO, 4 * (1 + save.len() as i32)),
    ];
    let mut code = [start.clone(), save.to_vec(), prepare].concat();
    let untrapped = 4 * (start.len() + saves_untrapped) as i32;
    for (kind, instruction) in [
        (LOAD, ld(A0, T1, 0)),
        (STORE, sd(S1, T1, 0)),
        (AMO, amoadd_d(A0, S1, T1)),
    ] {
        code.extend(access(kind, instruction));
        code.push(jal(ZERO, untrapped - 4 * code.len() as i32));
    }
    code.extend(fetch);
    code.extend(end());
    code
}

/// What the batch ended with, record by record, then its tables and data.
fn records(image: &[u8]) -> Vec<Record> {
    let start = (RECORDS - RAM) as usize;
    let doublewords: Vec<_> = image[start..][..8 * DOUBLEWORDS * RECORDS_PER_BATCH]
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let records = doublewords.chunks_exact(DOUBLEWORDS);
    let mut records: Vec<Record> = records.map(|record| record.try_into().unwrap()).collect();
    // QEMU may report the `ebreak` at another address of its page, where it was translated first.
    for record in records
        .iter_mut()
        .filter(|record| record[CAUSE] == BREAKPOINT)
    {
        record[TVAL] = 0;
    }
    records
}

#[test]
fn random_walks() {
    let batches = std::env::var("TINAMOU_WALKS").map_or(8, |count| count.parse().unwrap());
    let mut isa = Isa::default();
    for name in ["svinval", "svnapot", "svpbmt"] {
        isa.set(name, true).unwrap();
    }
    // What is compared besides the records; further up QEMU puts its device tree.
    let records_end = RECORDS + (8 * DOUBLEWORDS * RECORDS_PER_BATCH) as u64;
    let tables_end = TABLES + (TABLE_COUNT << 12);
    let parts = [(RAM, RECORDS), (records_end, tables_end)];
    let parts = parts.map(|(first, end)| (first - RAM) as usize..(end - RAM) as usize);
    let mut untrapped = 0;
    for batch in 0..batches {
        let mut random = Random(super::seed() << 32 | batch);
        let image = image(&mut random);
        let Some(theirs) = qemu::run_in_qemu(&image, CPU) else {
            return;
        };
        let ours = qemu::run_here(&image, isa);
        for (index, (ours, theirs)) in records(&ours).iter().zip(records(&theirs)).enumerate() {
            assert_eq!(
                *ours, theirs,
                "record {index} of batch {batch}: {ours:x?} {theirs:x?}"
            );
            untrapped += usize::from(ours[CAUSE] == NONE);
        }
        for part in parts.clone() {
            assert!(
                ours[part.clone()] == theirs[part],
                "batch {batch}: tables or data differ"
            );
        }
    }
    // Walks must lead somewhere often enough, or nothing is compared.
    assert!(untrapped > RECORDS_PER_BATCH / 8, "{untrapped}");
}
