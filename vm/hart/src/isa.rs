//! Which extensions a hart has, by the names of `-cpu rv64,NAME=on|off`, and what the device tree
//! says of them.

use crate::Error;

macro_rules! extensions {
    ($($variant:ident $name:literal $default:literal $doc:literal;)*) => {
        /// An extension that can be switched on or off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Extension {
            $(#[doc = $doc] $variant,)*
        }

        impl Extension {
            /// Every switchable extension.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, as a property of `-cpu`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether `rv64` has it unless told otherwise.
            #[must_use]
            pub const fn default(self) -> bool {
                match self {
                    $(Self::$variant => $default,)*
                }
            }
        }
    };
}

extensions! {
    M "m" true "Multiplication and division.";
    A "a" true "Atomics.";
    F "f" true "Single-precision floating point.";
    D "d" true "Double-precision floating point.";
    C "c" true "Compressed instructions.";
    Zicbom "zicbom" true "Cache block management.";
    Zicbop "zicbop" true "Cache block prefetch hints.";
    Zicboz "zicboz" true "Cache block zeroing.";
    Zicntr "zicntr" true "The counters cycle, time and instret.";
    Zicond "zicond" false "Conditional zeroing.";
    Zifencei "zifencei" true "Instruction-fetch fence.";
    Zihpm "zihpm" true "Hardware performance counters (which count nothing).";
    Zawrs "zawrs" true "Wait on reservation set.";
    Zfa "zfa" true "Additional floating-point instructions.";
    Zba "zba" true "Address generation.";
    Zbb "zbb" true "Basic bit manipulation.";
    Zbc "zbc" true "Carry-less multiplication.";
    Zbs "zbs" true "Single-bit instructions.";
    Smaia "smaia" false "Advanced interrupt architecture, machine mode.";
    Ssaia "ssaia" false "Advanced interrupt architecture, supervisor mode.";
    Sstc "sstc" true "Supervisor timer compare.";
    Svadu "svadu" true "Hardware update of the accessed and dirty bits.";
    Svinval "svinval" false "Fine-grained invalidation of translations.";
    Svnapot "svnapot" false "Pages of 64 KiB made of small ones.";
    Svpbmt "svpbmt" false "Page-based memory types (which make no difference here).";
    Sv48 "sv48" true "Four-level page tables.";
    Sv57 "sv57" true "Five-level page tables (with them, also four-level ones).";
    Pmp "pmp" true "Physical memory protection, 16 entries.";
}

/// A set of extensions over rv64i with M, S and U modes, Zicsr and Sv39.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa {
    bits: u64,
}

impl Default for Isa {
    /// `-cpu rv64`.
    fn default() -> Self {
        let on = Extension::ALL
            .iter()
            .filter(|extension| extension.default());
        Self {
            bits: on.fold(0, |bits, extension| bits | bit(*extension)),
        }
    }
}

impl Isa {
    /// Whether the hart has an extension (with those that it needs).
    #[must_use]
    pub const fn has(&self, extension: Extension) -> bool {
        let needs = match extension {
            Extension::D | Extension::Zfa => bit(Extension::F),
            Extension::Sv48 => return self.bits & (bit(extension) | bit(Extension::Sv57)) != 0,
            _ => 0,
        } | bit(extension);
        self.bits & needs == needs
    }

    /// The same with more extensions.
    #[must_use]
    pub fn with(self, extensions: &[Extension]) -> Self {
        let bits = extensions.iter().map(|extension| bit(*extension));
        Self {
            bits: bits.fold(self.bits, |bits, bit| bits | bit),
        }
    }

    /// Switches a property of `-cpu`.
    ///
    /// # Errors
    /// [`Error::Property`] when there is no such property.
    pub fn set(&mut self, name: &str, on: bool) -> Result<(), Error> {
        let found = Extension::ALL
            .iter()
            .find(|extension| extension.name() == name);
        let extension = *found.ok_or_else(|| Error::Property(name.into()))?;
        self.bits = if on {
            self.bits | bit(extension)
        } else {
            self.bits & !bit(extension)
        };
        Ok(())
    }

    /// The names for the device tree's `riscv,isa-extensions`, in canonical order.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        use Extension as E;
        let blocks = self.has(E::Zicbom) && self.has(E::Zicboz);
        let compressed_double = self.has(E::C) && self.has(E::D);
        let table = [
            ("i", true),
            ("m", self.has(E::M)),
            ("a", self.has(E::A)),
            ("f", self.has(E::F)),
            ("d", self.has(E::D)),
            ("c", self.has(E::C)),
            ("zic64b", blocks),
            ("zicbom", self.has(E::Zicbom)),
            ("zicbop", self.has(E::Zicbop)),
            ("zicboz", self.has(E::Zicboz)),
            ("ziccamoa", self.has(E::A)),
            ("ziccif", true),
            ("zicclsm", true),
            ("ziccrse", self.has(E::A)),
            ("zicntr", self.has(E::Zicntr)),
            ("zicond", self.has(E::Zicond)),
            ("zicsr", true),
            ("zifencei", self.has(E::Zifencei)),
            ("zihintntl", true),
            ("zihintpause", true),
            ("zihpm", self.has(E::Zihpm)),
            ("zmmul", self.has(E::M)),
            ("za64rs", self.has(E::A)),
            ("zaamo", self.has(E::A)),
            ("zalrsc", self.has(E::A)),
            ("zawrs", self.has(E::Zawrs)),
            ("zfa", self.has(E::Zfa)),
            ("zca", self.has(E::C)),
            ("zcd", compressed_double),
            ("zba", self.has(E::Zba)),
            ("zbb", self.has(E::Zbb)),
            ("zbc", self.has(E::Zbc)),
            ("zbs", self.has(E::Zbs)),
            ("smaia", self.has(E::Smaia)),
            ("ssaia", self.has(E::Ssaia)),
            ("ssccptr", true),
            ("sscounterenw", true),
            ("sstc", self.has(E::Sstc)),
            ("sstvala", true),
            ("sstvecd", true),
            ("ssu64xl", true),
            ("svade", !self.has(E::Svadu)),
            ("svadu", self.has(E::Svadu)),
            ("svinval", self.has(E::Svinval)),
            ("svnapot", self.has(E::Svnapot)),
            ("svpbmt", self.has(E::Svpbmt)),
            ("svvptc", true),
        ];
        table
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name))
            .collect()
    }

    /// The ISA string for the device tree's `riscv,isa`, such as `rv64imafdc_zicsr_…`.
    #[must_use]
    pub fn string(&self) -> String {
        let (letters, names): (Vec<_>, Vec<_>) =
            self.names().into_iter().partition(|name| name.len() == 1);
        let mut string = format!("rv64{}", letters.concat());
        for name in names {
            string.push('_');
            string.push_str(name);
        }
        string
    }

    /// The device tree's `mmu-type`: the deepest page tables.
    #[must_use]
    pub fn mmu_type(&self) -> &'static str {
        if self.has(Extension::Sv57) {
            "riscv,sv57"
        } else if self.has(Extension::Sv48) {
            "riscv,sv48"
        } else {
            "riscv,sv39"
        }
    }

    /// The value of `misa`.
    #[must_use]
    pub(crate) fn misa(&self) -> u64 {
        const MXL_64: u64 = 2 << 62;
        let letter = |letter: u8| 1 << (letter - b'a');
        let always = MXL_64 | letter(b'i') | letter(b's') | letter(b'u');
        let optional = [
            (Extension::M, b'm'),
            (Extension::A, b'a'),
            (Extension::F, b'f'),
            (Extension::D, b'd'),
            (Extension::C, b'c'),
        ];
        let present = optional
            .iter()
            .filter(|(extension, _)| self.has(*extension));
        present.fold(always, |misa, (_, name)| misa | letter(*name))
    }
}

const fn bit(extension: Extension) -> u64 {
    1 << extension as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_string_is_canonical() {
        let expected = "rv64imafdc_zic64b_zicbom_zicbop_zicboz_ziccamoa_ziccif_zicclsm_ziccrse_\
            zicntr_zicsr_zifencei_zihintntl_zihintpause_zihpm_zmmul_za64rs_zaamo_zalrsc_zawrs_\
            zfa_zca_zcd_zba_zbb_zbc_zbs_ssccptr_sscounterenw_sstc_sstvala_sstvecd_ssu64xl_svadu_svvptc";
        assert_eq!(Isa::default().string(), expected);
        assert_eq!(Isa::default().misa(), 0x8000_0000_0014_112d);
    }

    #[test]
    fn properties_switch_extensions() {
        let mut isa = Isa::default();
        for name in ["f", "c", "zba", "sv57", "svadu"] {
            isa.set(name, false).unwrap();
        }
        let names = isa.names();
        for absent in ["f", "d", "c", "zca", "zcd", "zba", "svadu"] {
            assert!(!names.contains(&absent), "{absent}");
        }
        assert!(names.contains(&"svade"));
        assert_eq!(isa.mmu_type(), "riscv,sv48");
        isa.set("zicond", true).unwrap();
        assert!(isa.string().contains("_zicond_"));
        assert!(matches!(isa.set("v", true), Err(Error::Property(name)) if name == "v"));
    }
}
