//! Many programs in one RAM, and the code that goes through them.

use tinamou_hart::Isa;

use super::instructions::Instruction;
use super::program::{Program, REACH, Random};
use super::qemu;
use crate::asm::*;
use crate::rig::{EXIT, RAM, SIZE};

/// The extensions that a hart here has, and no others.
const CPU: &str = "rv64i,m=on,a=on,f=on,d=on,c=on,zicsr=on,zifencei=on,zicbom=on,zicboz=on,zicbop=on,\
                   zicond=on,zfa=on,zba=on,zbb=on,zbc=on,zbs=on,pmp=on,sv57=on";

/// Where the records begin; before them is the code that goes through them.
const RECORDS: u64 = RAM + 0x1000;
/// Where programs are put, one directly behind the other, so that some cross a page.
const CODE: u64 = RAM + 0x80_0000;

/// A record, as doublewords: the entry address, x1 to x31, f0 to f31, then these, then memory.
const FLOATS: usize = 32;
const FCSR: usize = 64;
const CAUSE: usize = 65;
const EPC: usize = 66;
const TVAL: usize = 67;
const MEMORY: usize = 68;
/// What stands in place of a cause before.
const NEVER_RUN: u64 = u64::MAX;
/// Accesses begin up to `REACH` from the middle and end a little behind.
const MEMORY_SIZE: usize = 2 * REACH as usize / 8 + 16;
const DOUBLEWORDS: usize = MEMORY + MEMORY_SIZE;
/// Bytes from one record to the next.
const STRIDE: i32 = 8 * DOUBLEWORDS as i32;

/// What a program begins or ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Vec<u64>);

impl Record {
    fn random(random: &mut Random, entry: u64) -> Self {
        let mut record = vec![entry];
        record.extend((1..FLOATS).map(|_| random.integer()));
        record.extend((FLOATS..FCSR).map(|_| random.float()));
        let rounding = if random.one_in(16) {
            7
        } else {
            random.below(5)
        };
        // NX is often set in programs, and lets the host compute.
        record.push(rounding << 5 | random.below(32));
        record.extend([NEVER_RUN; MEMORY - CAUSE]);
        record.extend((0..MEMORY_SIZE).map(|_| random.float()));
        Self(record)
    }

    pub fn cause(&self) -> u64 {
        self.0[CAUSE]
    }

    /// The registers, one a line.
    pub fn registers(&self) -> String {
        let lines = self.0[..CAUSE].iter().enumerate();
        let lines = lines.map(|(i, value)| format!("{}: {value:016x}\n", name(i)));
        lines.collect()
    }

    /// What is not alike, one a line.
    pub fn difference(&self, other: &Self) -> String {
        let pairs = self.0.iter().zip(&other.0).enumerate();
        let lines = pairs
            .filter(|(_, (ours, theirs))| ours != theirs)
            .map(|(i, (ours, theirs))| format!("{}: {ours:016x} {theirs:016x}\n", name(i)));
        lines.collect()
    }
}

/// What stands at a place in a record.
fn name(index: usize) -> String {
    match index {
        0 => "entry".into(),
        1..FLOATS => format!("x{index}"),
        FLOATS..FCSR => format!("f{}", index - FLOATS),
        FCSR => "fcsr".into(),
        CAUSE => "mcause".into(),
        EPC => "mepc".into(),
        TVAL => "mtval".into(),
        _ => format!("memory[{}]", index - MEMORY),
    }
}

/// Programs and their records.
#[derive(Default)]
pub struct Batch {
    pub programs: Vec<Program>,
    pub records: Vec<Record>,
    /// Bytes of code so far.
    size: u64,
}

impl Batch {
    pub fn add_random(&mut self, random: &mut Random) {
        let program = Program::random(random, CODE + self.size, self.memory());
        self.add(random, program);
    }

    pub fn add_single(&mut self, random: &mut Random, instruction: Instruction) {
        let program = Program::single(random, CODE + self.size, self.memory(), instruction);
        self.add(random, program);
    }

    pub fn run_here(&self) -> Vec<Record> {
        let mut isa = Isa::default();
        isa.set("zicond", true).unwrap();
        self.results(&qemu::run_here(&self.image(), isa))
    }

    /// `None`, said aloud, where there is no QEMU.
    pub fn run_in_qemu(&self) -> Option<Vec<Record>> {
        let image = qemu::run_in_qemu(&self.image(), CPU)?;
        Some(self.results(&image))
    }

    fn add(&mut self, random: &mut Random, program: Program) {
        self.records.push(Record::random(random, CODE + self.size));
        self.size += program.code.len() as u64;
        self.programs.push(program);
    }

    /// The middle of the next record's memory.
    fn memory(&self) -> u64 {
        let index = self.records.len() * DOUBLEWORDS + MEMORY + MEMORY_SIZE / 2;
        RECORDS + 8 * index as u64
    }

    fn image(&self) -> Vec<u8> {
        let words =
            |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
        let records = self.records.iter().flat_map(|record| &record.0);
        let records: Vec<_> = records.flat_map(|value| value.to_le_bytes()).collect();
        let code: Vec<_> = self
            .programs
            .iter()
            .flat_map(|p| &p.code)
            .copied()
            .collect();
        let mut image = vec![0; SIZE as usize];
        for (address, bytes) in [(RAM, words(&driver())), (RECORDS, records), (CODE, code)] {
            let start = (address - RAM) as usize;
            image[start..][..bytes.len()].copy_from_slice(&bytes);
        }
        assert!(RECORDS + ((self.records.len() + 1) as u64) * STRIDE as u64 <= CODE);
        image
    }

    fn results(&self, image: &[u8]) -> Vec<Record> {
        let start = (RECORDS - RAM) as usize;
        let value = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        let records = image[start..].chunks_exact(8 * DOUBLEWORDS);
        let records = records.map(|record| Record(record.chunks_exact(8).map(value).collect()));
        let records: Vec<_> = records.take(self.records.len()).collect();
        let have_run = records.iter().all(|record| record.cause() != NEVER_RUN);
        assert!(have_run, "a program has not come to its end");
        records
    }
}

/// Registers by number.
const MHARTID: u32 = 0xf14;
const MSTATUS: u32 = 0x300;
const MTVEC: u32 = 0x305;
const MSCRATCH: u32 = 0x340;
const MEPC: u32 = 0x341;
const MCAUSE: u32 = 0x342;
const MTVAL: u32 = 0x343;
const FCSR_CSR: u32 = 3;
/// `mstatus.FS` and `mstatus.MPP`, all ones.
const MODE: u32 = 0x7800;
const X1: u32 = 1;
const X31: u32 = 31;

/// The code that goes through the records, with mscratch at the one that is running.
fn driver() -> Vec<u32> {
    let offset = |index: usize| 8 * index as i32;
    let mut save = vec![csrrw(X31, MSCRATCH, X31)];
    save.extend((1..31).map(|x| sd(x, X31, offset(x as usize))));
    save.extend((0..32).map(|f| fsd(f, X31, offset(FLOATS + f as usize))));
    for (csr, index) in [
        (FCSR_CSR, FCSR),
        (MCAUSE, CAUSE),
        (MEPC, EPC),
        (MTVAL, TVAL),
        (MSCRATCH, 31),
    ] {
        save.extend([csrr(X1, csr), sd(X1, X31, offset(index))]);
    }
    save.extend([addi(X31, X31, STRIDE), csrw(MSCRATCH, X31)]);

    // An entry address of zero is the end.
    let end = end();
    let mut enter = vec![csrr(X31, MSCRATCH), ld(X1, X31, 0), csrw(MEPC, X1)];
    enter.push(bne(X1, ZERO, 4 * (1 + end.len() as i32)));
    enter.extend(end);
    // Back to machine mode, with floating point on; and no reservation is left over.
    enter.extend([
        lui(X1, MODE + 0x800),
        addi(X1, X1, -0x800),
        csrrs(ZERO, MSTATUS, X1),
    ]);
    enter.extend([
        sc_d(X1, X1, X31),
        ld(X1, X31, offset(FCSR)),
        csrw(FCSR_CSR, X1),
    ]);
    enter.extend((0..32).map(|f| fld(f, X31, offset(FLOATS + f as usize))));
    enter.extend((1..=31).map(|x| ld(x, X31, offset(x as usize))));
    enter.push(MRET);

    let records = (RECORDS - RAM) as u32;
    let start = [
        auipc(T0, records),
        csrw(MSCRATCH, T0),
        // The second hart is only there because QEMU has real atomics with it, and their traps.
        csrr(T0, MHARTID),
        beq(T0, ZERO, 12),
        WFI,
        jal(ZERO, -4),
        auipc(T0, 0),
        // Here is what begins to save.
        addi(T0, T0, 4 * 4),
        csrw(MTVEC, T0),
        jal(ZERO, 4 * (1 + save.len() as i32)),
    ];
    [start.to_vec(), save, enter].concat()
}

/// Tells the exit device, which in QEMU is the test finisher, that all is done.
pub fn end() -> Vec<u32> {
    vec![
        lui(T0, EXIT as u32),
        lui(T1, 0x5000),
        addi(T1, T1, 0x555),
        sw(T1, T0, 0),
        STAY,
    ]
}
