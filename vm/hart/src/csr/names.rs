//! Registers by name, for people.

/// Name and number of every register a hart may have, counters and PMP entries apart.
const NAMES: &[(&str, u16)] = &[
    ("fflags", 0x001),
    ("frm", 0x002),
    ("fcsr", 0x003),
    ("cycle", 0xc00),
    ("time", 0xc01),
    ("instret", 0xc02),
    ("sstatus", 0x100),
    ("sie", 0x104),
    ("stvec", 0x105),
    ("scounteren", 0x106),
    ("senvcfg", 0x10a),
    ("sscratch", 0x140),
    ("sepc", 0x141),
    ("scause", 0x142),
    ("stval", 0x143),
    ("sip", 0x144),
    ("stimecmp", 0x14d),
    ("siselect", 0x150),
    ("sireg", 0x151),
    ("stopei", 0x15c),
    ("satp", 0x180),
    ("stopi", 0xdb0),
    ("mvendorid", 0xf11),
    ("marchid", 0xf12),
    ("mimpid", 0xf13),
    ("mhartid", 0xf14),
    ("mconfigptr", 0xf15),
    ("mstatus", 0x300),
    ("misa", 0x301),
    ("medeleg", 0x302),
    ("mideleg", 0x303),
    ("mie", 0x304),
    ("mtvec", 0x305),
    ("mcounteren", 0x306),
    ("menvcfg", 0x30a),
    ("mcountinhibit", 0x320),
    ("mscratch", 0x340),
    ("mepc", 0x341),
    ("mcause", 0x342),
    ("mtval", 0x343),
    ("mip", 0x344),
    ("mvien", 0x308),
    ("mvip", 0x309),
    ("miselect", 0x350),
    ("mireg", 0x351),
    ("mtopei", 0x35c),
    ("mtopi", 0xfb0),
    ("mcycle", 0xb00),
    ("minstret", 0xb02),
];

/// Registers that come in rows: the name before the index, its first index and number, how many.
const ROWS: &[(&str, u16, u16, u16)] = &[
    ("hpmcounter", 3, 0xc03, 29),
    ("mhpmcounter", 3, 0xb03, 29),
    ("mhpmevent", 3, 0x323, 29),
    ("pmpcfg", 0, 0x3a0, 16),
    ("pmpaddr", 0, 0x3b0, 64),
];

/// The number of a register by its name.
#[must_use]
pub fn number(name: &str) -> Option<u16> {
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    ROWS.iter().find_map(|(row, first, number, count)| {
        let index: u16 = name.strip_prefix(row)?.parse().ok()?;
        let index = index.checked_sub(*first).filter(|index| index < count)?;
        Some(number + index)
    })
}

/// The name of a register by its number.
#[must_use]
pub fn name(number: u16) -> Option<String> {
    if let Some((name, _)) = NAMES.iter().find(|(_, known)| *known == number) {
        return Some((*name).to_owned());
    }
    ROWS.iter().find_map(|(row, first, base, count)| {
        let index = number.checked_sub(*base).filter(|index| index < count)?;
        Some(format!("{row}{}", first + index))
    })
}

#[cfg(test)]
mod tests {
    use super::{name, number};

    #[test]
    fn names_have_numbers() {
        for (name, expected) in [
            ("mstatus", Some(0x300)),
            ("satp", Some(0x180)),
            ("pmpaddr15", Some(0x3bf)),
            ("mhpmcounter31", Some(0xb1f)),
            ("mhpmcounter2", None),
            ("pmpaddr64", None),
            ("mhpmevent", None),
            ("zero", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }

    #[test]
    fn numbers_have_names() {
        for (number, expected) in [
            (0x300, Some("mstatus")),
            (0x3bf, Some("pmpaddr15")),
            (0xb1f, Some("mhpmcounter31")),
            (0x7c0, None),
        ] {
            assert_eq!(name(number).as_deref(), expected, "{number:#x}");
        }
    }
}
