//! Rows as QEMU prints them; the tests on harts compare many more with it.

use super::disassemble;

#[track_caller]
fn check(address: u64, bits: u64, expected: &str) {
    let line = disassemble(address, bits).to_string();
    assert_eq!(line.trim_end(), expected);
}

#[test]
fn lines_are_those_of_qemu() {
    for (address, bits, expected) in [
        (
            0x1000,
            0x0282_8613_0000_0297,
            "0x00001000:  00000297          auipc                   t0,0                    # 0x1000",
        ),
        (
            0x1008,
            0xf140_2573,
            "0x00001008:  f1402573          csrrs                   a0,mhartid,zero",
        ),
        (
            0xffff_ffff_8000_0000,
            0xffbd,
            "0xffffffff80000000:  ffbd              bnez                    a5,-130                 # 0xffffffff7fffff7e",
        ),
        (
            0x80,
            0x8914_d663,
            "0x00000080:  8914d663          ble                     a7,s1,-3956             # 0xfffffffffffff10c",
        ),
        (
            0,
            0x9abc_1234_5678_001f,
            "0x00000000:  12345678001f      illegal",
        ),
    ] {
        check(address, bits, expected);
    }
}

#[test]
fn operands_are_those_of_qemu() {
    for (bits, expected) in [
        (0x0000_0013, "nop"),
        (0x87f6, "mv a5,t4"),
        (0x00b0_0533, "add a0,zero,a1"),
        (0x0050_0513, "addi a0,zero,5"),
        (0x40b0_053b, "negw a0,a1"),
        (0x00a0_5063, "blez a0,0 # 0x0"),
        (0x00b5_7063, "bleu a1,a0,0 # 0x0"),
        (0xf2ea_d0b7, "lui ra,-53587"),
        (0x8082, "ret"),
        (0x0050_00e7, "jalr ra,zero,5"),
        (0x6072_a487, "flw fs1,1543(t0)"),
        (0x1a42_3623, "sd tp,428(tp)"),
        (0x07fc_21af, "amoadd.w.aq.rl gp,t6,(s8)"),
        (0x1601_a62f, "lr.w.aq.rl a2,(gp)"),
        (0xd024_7e47, "fmsub.s dyn,ft8,fs0,ft2,fs10"),
        (0xc036_3c53, "fcvt.lu.s rup,s8,fa2"),
        (0x20b5_9553, "fneg.s fa0,fa1"),
        (0x003f_18f3, "fscsr a7,t5"),
        (0x0028_5873, "fsrmi a6,16"),
        (0x7c05_9573, "csrrw a0,0x7c0,a1"),
        (0x891b_868f, "fence iw,w"),
        (0xf012_80d3, "fli.s ft1,0x1p-7"),
        (0xc285_15d3, "fcvtmod.w.d rtz,a1,fa0"),
        (0x12b0_0073, "sfence.vma zero,a1"),
        (0x0042_a00f, "cbo.zero (t0)"),
        (0x0000, "illegal"),
        (0xe000_2053, "illegal"),
    ] {
        let line = disassemble(0, bits);
        let words: Vec<_> = line.text.split_whitespace().collect();
        assert_eq!(words.join(" "), expected, "{bits:#x}");
    }
}
