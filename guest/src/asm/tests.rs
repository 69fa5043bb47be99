use super::*;

/// What one line assembles to.
fn words(write: impl FnOnce(&mut Assembler)) -> Vec<u32> {
    let mut a = Assembler::new();
    write(&mut a);
    let image = a.finish().unwrap();
    let words = image
        .chunks(4)
        .map(|b| u32::from_le_bytes(b.try_into().unwrap()));
    words.collect()
}

/// The words are what GNU as makes of the same line.
#[test]
fn instructions_are_encoded() {
    let check = |write: fn(&mut Assembler), expected: &[u32]| assert_eq!(words(write), expected);
    check(|a| a.add(A0, A1, A2), &[0x00c5_8533]);
    check(|a| a.sub(T0, T1, T2), &[0x4073_02b3]);
    check(|a| a.mul(S0, S1, S2), &[0x0324_8433]);
    check(|a| a.remu(T3, T4, T5), &[0x03ee_fe33]);
    check(|a| a.mulw(A0, A0, A1), &[0x02b5_053b]);
    check(|a| a.amoadd_w(A0, A1, A2), &[0x00b6_252f]);
    check(|a| a.amoswap_d(A0, A1, A2), &[0x08b6_352f]);
    check(|a| a.addi(SP, SP, -16), &[0xff01_0113]);
    check(|a| a.andi(A0, A0, 2047), &[0x7ff5_7513]);
    check(|a| a.slli(A0, A0, 63), &[0x03f5_1513]);
    check(|a| a.srai(A0, A0, 33), &[0x4215_5513]);
    check(|a| a.srliw(A0, A0, 31), &[0x01f5_551b]);
    check(|a| a.lbu(A0, 5, S0), &[0x0054_4503]);
    check(|a| a.ld(RA, -8, SP), &[0xff81_3083]);
    check(|a| a.sd(RA, -8, SP), &[0xfe11_3c23]);
    check(|a| a.sb(A0, 0, S0), &[0x00a4_0023]);
    check(|a| a.fld(FA0, 8, A0), &[0x0085_3507]);
    check(|a| a.fsd(FA0, 8, A0), &[0x00a5_3427]);
    check(|a| a.fadd_d(FA0, FA1, FA2), &[0x02c5_f553]);
    check(|a| a.fmul_d(FA0, FA1, FA2), &[0x12c5_f553]);
    check(|a| a.fmadd_d(FA0, FA1, FA2, FA3), &[0x6ac5_f543]);
    check(|a| a.fmv_d_x(FT0, A0), &[0xf205_0053]);
    check(|a| a.fmv_x_d(A0, FT0), &[0xe200_0553]);
    check(|a| a.fcvt_d_l(FT0, A0), &[0xd225_7053]);
    check(|a| a.lui(A0, 0x12345), &[0x1234_5537]);
    check(|a| a.csrr(A0, csr::TIME), &[0xc010_2573]);
    check(|a| a.csrw(csr::SIE, ZERO), &[0x1040_1073]);
    check(|a| a.ret(), &[0x0000_8067]);
    check(|a| a.wfi(), &[0x1050_0073]);
}

#[test]
fn labels_are_reached_both_ways() {
    let assembled = words(|a| {
        let (back, forth) = (a.here(), a.label());
        a.beqz(A0, forth);
        a.bne(A0, A1, back);
        a.call(forth);
        a.la(A0, back);
        a.bind(forth);
        a.j(back);
    });
    let expected = [
        0x0005_0a63,
        0xfeb5_1ee3,
        0x00c0_00ef,
        0x0000_0517,
        0xff45_0513,
        0xfedf_f06f,
    ];
    assert_eq!(assembled, expected);
}

/// Does what the instructions of `li` do.
fn run_li(value: i64) -> i64 {
    let assembled = words(|a| a.li(A0, value));
    assembled.iter().fold(0, |a0: i64, word| {
        let immediate = i64::from(*word as i32 >> 20);
        match word & 0x707f {
            0x0013 if word >> 15 & 31 == 0 => immediate,
            0x0013 => a0.wrapping_add(immediate),
            0x001b => i64::from(a0.wrapping_add(immediate) as i32),
            0x1013 => a0 << (immediate & 63),
            _ if word & 0x7f == 0x37 => i64::from((word & 0xffff_f000) as i32),
            _ => panic!("{word:#x} is no part of li"),
        }
    })
}

#[test]
fn every_constant_can_be_loaded() {
    for shift in 0..64 {
        for near in -2..=2 {
            let value = (1i64 << shift).wrapping_add(near);
            assert_eq!(run_li(value), value);
            assert_eq!(run_li(!value), !value);
        }
    }
    for value in [
        i64::MIN,
        i64::MAX,
        0x7fff_ffff,
        0x7fff_f800,
        0x1234_5678_9abc_def0,
    ] {
        assert_eq!(run_li(value), value);
    }
}

#[test]
fn what_cannot_be_encoded_is_told() {
    let check = |write: fn(&mut Assembler), expected| {
        let mut a = Assembler::new();
        write(&mut a);
        assert_eq!(a.finish(), Err(expected));
    };
    check(
        |a| a.addi(A0, A0, 2048),
        Error::Range { at: 0, value: 2048 },
    );
    check(|a| a.slli(A0, A0, 64), Error::Range { at: 0, value: 64 });
    check(|a| a.slliw(A0, A0, 32), Error::Range { at: 0, value: 32 });
    let far = |a: &mut Assembler| {
        let target = a.label();
        a.beqz(A0, target);
        a.zeros(4096);
        a.bind(target);
    };
    check(far, Error::Range { at: 0, value: 4100 });
    let nowhere = |a: &mut Assembler| {
        let label = a.label();
        a.nop();
        a.j(label);
    };
    check(nowhere, Error::Unbound { at: 4 });
}
