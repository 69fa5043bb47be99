//! The qtest protocol, sans-I/O: lines of text by which a test reads and
//! writes guest memory, steps the clock, and watches and drives interrupts.
//!
//! Commands and replies are QEMU's. Where QEMU ends the process on a command
//! it cannot read, this answers `FAIL` with the reason and goes on.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Bytes that one command may read or write at most.
const LONGEST_TRANSFER: u64 = 64 << 20;

/// Bytes of input kept while the end of a line is awaited.
const LONGEST_LINE: usize = 2 * (LONGEST_TRANSFER as usize) + 4096;

/// What the protocol needs of the machine under test.
pub trait Target {
    /// Reads 1, 2, 4 or 8 bytes as one access; nothing there reads as zero.
    fn load(&mut self, address: u64, size: u8) -> u64;
    /// Writes 1, 2, 4 or 8 bytes as one access.
    fn store(&mut self, address: u64, size: u8, value: u64);
    /// Reads memory; what is not there reads as zeros.
    fn read(&mut self, address: u64, bytes: &mut [u8]);
    /// Writes memory; what is not there is ignored.
    fn write(&mut self, address: u64, bytes: &[u8]);
    /// Moves the virtual clock on by so many nanoseconds, or to the next
    /// deadline. Returns the new time, or `None` when the clock runs by itself.
    fn clock_step(&mut self, nanoseconds: Option<u64>) -> Option<u64>;
    /// Moves the virtual clock to a time.
    fn clock_set(&mut self, nanoseconds: u64) -> Option<u64>;
    /// Reports the changes of a device's interrupt lines of this name from now on, besides
    /// passing them on.
    fn intercept(&mut self, path: &str, lines: Lines, name: Option<&str>) -> Result<(), Refusal>;
    /// Drives an input line of a device.
    fn set_line(&mut self, path: &str, name: &str, line: u32, level: bool) -> Result<(), Refusal>;
    /// Reads a CSR of a hart, after writing it if a value is given.
    fn csr(&mut self, hart: u64, number: u16, write: Option<u64>) -> Option<u64>;
}

/// Which lines of a device are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Those that others drive.
    In,
    /// Those that the device drives.
    Out,
}

/// Why lines cannot be intercepted or driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The path leads to no device.
    #[error("Unknown device")]
    UnknownDevice,
    /// Another device's lines are intercepted.
    #[error("IRQ intercept already enabled")]
    AlreadyEnabled,
    /// The device has no such line.
    #[error("Unknown line")]
    UnknownLine,
    /// Input lines that have a name cannot be intercepted.
    #[error("Interception of named in-GPIOs not yet supported")]
    NamedInputs,
    /// The device has no output line of that name.
    #[error("No intercepts installed")]
    NoneInstalled,
}

/// One connection that speaks the protocol.
#[derive(Debug, Default)]
pub struct Session {
    line: Vec<u8>,
    /// Bytes are thrown away up to the next end of line.
    overlong: bool,
}

impl Session {
    /// A connection that has said nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes of the peer; hands each complete command and its reply to
    /// `answer`.
    pub fn receive(
        &mut self,
        mut bytes: &[u8],
        target: &mut dyn Target,
        answer: &mut dyn FnMut(&str, &str),
    ) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.collect(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let overlong = std::mem::take(&mut self.overlong);
            let line = String::from_utf8_lossy(&line);
            match overlong {
                true => answer(&line, "FAIL Line too long\n"),
                false => answer(&line, &(execute(&line, target) + "\n")),
            }
        }
        self.collect(bytes);
    }

    fn collect(&mut self, bytes: &[u8]) {
        if self.overlong || self.line.len() + bytes.len() > LONGEST_LINE {
            self.overlong = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }
}

/// The line that tells of an intercepted interrupt line's new level.
pub fn line_changed(line: u32, level: bool) -> String {
    format!("IRQ {} {line}\n", if level { "raise" } else { "lower" })
}

/// Runs one command: the reply, without its line end.
fn execute(line: &str, target: &mut dyn Target) -> String {
    let mut words = Words(line.split(' '));
    let command = words.word().unwrap_or("");
    let reply = run(command, &mut words, target);
    reply.unwrap_or_else(|reason| format!("FAIL {reason}"))
}

fn run(command: &str, words: &mut Words<'_>, target: &mut dyn Target) -> Result<String, String> {
    match command {
        "readb" => load(words, target, 1),
        "readw" => load(words, target, 2),
        "readl" => load(words, target, 4),
        "readq" => load(words, target, 8),
        "writeb" => store(words, target, 1),
        "writew" => store(words, target, 2),
        "writel" => store(words, target, 4),
        "writeq" => store(words, target, 8),
        // The board has no port that answers: reads float, writes vanish.
        "inb" => port_read(words, 0xff),
        "inw" => port_read(words, 0xffff),
        "inl" => port_read(words, 0xffff_ffff),
        "outb" | "outw" | "outl" => port_write(words),
        "read" => read(words, target).map(|bytes| format!("OK 0x{}", hex(&bytes))),
        "b64read" => {
            read(words, target).map(|bytes| format!("OK {}", BASE64_STANDARD.encode(bytes)))
        }
        "write" => write(words, target, unhex),
        "b64write" => write(words, target, |text| {
            BASE64_STANDARD
                .decode(text)
                .map_err(|_| "Data is not base64".to_owned())
        }),
        "memset" => fill(words, target),
        "endianness" => Ok("OK little".into()),
        "clock_step" => {
            let step = words.optional_number()?;
            clock(command, target.clock_step(step))
        }
        "clock_set" => {
            let time = words.number()?;
            clock(command, target.clock_set(time))
        }
        "irq_intercept_in" => intercept(words, target, Lines::In),
        "irq_intercept_out" => intercept(words, target, Lines::Out),
        "set_irq_in" => set_line(words, target),
        "csr" => csr(words, target),
        // There are no loadable modules: everything is built in.
        "module_load" => Ok("FAIL".into()),
        _ => Err(unknown(command)),
    }
}

fn unknown(command: &str) -> String {
    format!("Unknown command '{command}'")
}

fn load(words: &mut Words<'_>, target: &mut dyn Target, size: u8) -> Result<String, String> {
    let address = words.number()?;
    Ok(format!("OK 0x{:016x}", target.load(address, size)))
}

fn store(words: &mut Words<'_>, target: &mut dyn Target, size: u8) -> Result<String, String> {
    let (address, value) = (words.number()?, words.number()?);
    target.store(address, size, value);
    Ok("OK".into())
}

fn port(words: &mut Words<'_>) -> Result<(), String> {
    match words.number()? {
        0..=0xffff => Ok(()),
        port => Err(format!("There is no port {port:#x}")),
    }
}

fn port_read(words: &mut Words<'_>, value: u32) -> Result<String, String> {
    port(words)?;
    Ok(format!("OK 0x{value:04x}"))
}

fn port_write(words: &mut Words<'_>) -> Result<String, String> {
    port(words)?;
    words.number()?;
    Ok("OK".into())
}

fn read(words: &mut Words<'_>, target: &mut dyn Target) -> Result<Vec<u8>, String> {
    let address = words.number()?;
    let mut bytes = vec![0; words.length()?];
    target.read(address, &mut bytes);
    Ok(bytes)
}

fn write(
    words: &mut Words<'_>,
    target: &mut dyn Target,
    decode: impl Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<String, String> {
    let (address, length) = (words.number()?, words.length()?);
    let mut bytes = decode(words.word()?)?;
    // Data that is too short is filled up with zeros, and cut if too long.
    bytes.resize(length, 0);
    target.write(address, &bytes);
    Ok("OK".into())
}

fn fill(words: &mut Words<'_>, target: &mut dyn Target) -> Result<String, String> {
    let (address, length) = (words.number()?, words.number()?);
    if length > LONGEST_TRANSFER {
        return Err(format!("Length {length} is too large"));
    }
    let pattern = words.number()? as u8;
    target.write(address, &vec![pattern; length as usize]);
    Ok("OK".into())
}

fn clock(command: &str, time: Option<u64>) -> Result<String, String> {
    match time {
        Some(time) => Ok(format!("OK {time}")),
        None => Err(unknown(command)),
    }
}

fn intercept(
    words: &mut Words<'_>,
    target: &mut dyn Target,
    lines: Lines,
) -> Result<String, String> {
    let (path, name) = (words.word()?, words.optional_word());
    target
        .intercept(path, lines, name)
        .map_err(|refusal| refusal.to_string())?;
    Ok("OK".into())
}

fn set_line(words: &mut Words<'_>, target: &mut dyn Target) -> Result<String, String> {
    let (path, name) = (words.word()?, words.word()?);
    let (line, level) = (words.number()?, words.number()?);
    let line = u32::try_from(line).map_err(|_| Refusal::UnknownLine.to_string())?;
    target
        .set_line(path, name, line, level != 0)
        .map_err(|refusal| refusal.to_string())?;
    Ok("OK".into())
}

fn csr(words: &mut Words<'_>, target: &mut dyn Target) -> Result<String, String> {
    let what = words.word()?;
    let (hart, number) = (words.number()?, words.number()?);
    let write = match what {
        "get_csr" => None,
        "set_csr" => Some(words.number()?),
        other => return Err(unknown(other)),
    };
    let number = u16::try_from(number).map_err(|_| format!("There is no CSR {number:#x}"))?;
    match target.csr(hart, number, write) {
        Some(value) => Ok(format!("OK 0 {value:016x}")),
        None => Err(format!("There is no CSR {number:#x} of hart {hart}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads pairs of hexadecimal digits, with or without `0x` before them.
fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let digit = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
    bytes.ok_or_else(|| "Data is not hexadecimal".into())
}

/// The words of a command, one after the other.
struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn word(&mut self) -> Result<&'a str, String> {
        self.optional_word()
            .ok_or_else(|| "Missing argument".into())
    }

    fn number(&mut self) -> Result<u64, String> {
        number(self.word()?)
    }

    fn optional_number(&mut self) -> Result<Option<u64>, String> {
        self.optional_word().map(number).transpose()
    }

    fn length(&mut self) -> Result<usize, String> {
        match self.number()? {
            0 => Err("Length must not be zero".into()),
            length if length > LONGEST_TRANSFER => Err(format!("Length {length} is too large")),
            length => Ok(length as usize),
        }
    }

    fn optional_word(&mut self) -> Option<&'a str> {
        self.0.find(|word| !word.is_empty())
    }
}

/// Reads a number as C does: `0x` hexadecimal, a leading zero octal.
fn number(text: &str) -> Result<u64, String> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    u64::from_str_radix(digits, radix).map_err(|_| format!("'{text}' is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A megabyte of memory at 0x80000000 and a clock.
    struct Board {
        memory: Vec<u8>,
        time: u64,
        intercepted: bool,
    }

    impl Target for Board {
        fn load(&mut self, address: u64, size: u8) -> u64 {
            let mut bytes = [0; 8];
            self.read(address, &mut bytes[..size.into()]);
            u64::from_le_bytes(bytes)
        }
        fn store(&mut self, address: u64, size: u8, value: u64) {
            self.write(address, &value.to_le_bytes()[..size.into()]);
        }
        fn read(&mut self, address: u64, bytes: &mut [u8]) {
            for (at, byte) in (address..).zip(bytes) {
                let offset = at.wrapping_sub(0x8000_0000) as usize;
                *byte = self.memory.get(offset).copied().unwrap_or(0);
            }
        }
        fn write(&mut self, address: u64, bytes: &[u8]) {
            for (at, byte) in (address..).zip(bytes) {
                if let Some(place) = self.memory.get_mut(at.wrapping_sub(0x8000_0000) as usize) {
                    *place = *byte;
                }
            }
        }
        fn clock_step(&mut self, nanoseconds: Option<u64>) -> Option<u64> {
            self.time += nanoseconds.unwrap_or(10);
            Some(self.time)
        }
        fn clock_set(&mut self, nanoseconds: u64) -> Option<u64> {
            self.time = nanoseconds;
            Some(self.time)
        }
        fn intercept(&mut self, path: &str, _: Lines, _: Option<&str>) -> Result<(), Refusal> {
            if path != "/plic" {
                return Err(Refusal::UnknownDevice);
            }
            match std::mem::replace(&mut self.intercepted, true) {
                true => Err(Refusal::AlreadyEnabled),
                false => Ok(()),
            }
        }
        fn set_line(&mut self, path: &str, _: &str, _: u32, _: bool) -> Result<(), Refusal> {
            if path == "/plic" {
                Ok(())
            } else {
                Err(Refusal::UnknownDevice)
            }
        }
        fn csr(&mut self, hart: u64, number: u16, write: Option<u64>) -> Option<u64> {
            (hart == 0 && number == 0x340).then_some(write.unwrap_or(7))
        }
    }

    fn check(script: &[(&str, &str)]) {
        let mut board = Board {
            memory: vec![0; 1 << 20],
            time: 0,
            intercepted: false,
        };
        let mut session = Session::new();
        for (command, expected) in script {
            let mut replies = Vec::new();
            session.receive(
                format!("{command}\n").as_bytes(),
                &mut board,
                &mut |line, reply| {
                    assert_eq!(line, *command);
                    replies.push(reply.to_owned());
                },
            );
            assert_eq!(replies, [format!("{expected}\n")], "{command}");
        }
    }

    #[test]
    fn memory_is_read_and_written() {
        check(&[
            ("writel 0x80000000 0x12345678", "OK"),
            ("readb 0x80000001", "OK 0x0000000000000056"),
            ("readw 0x80000000", "OK 0x0000000000005678"),
            ("readq 0x80000000", "OK 0x0000000012345678"),
            ("read 0x80000000 4", "OK 0x78563412"),
            ("write 0x80000010 4 0xdead", "OK"),
            ("read 0x80000010 0x4", "OK 0xdead0000"),
            ("b64write 0x80000020 3 QUJD", "OK"),
            ("b64read 0x80000020 3", "OK QUJD"),
            ("memset 0x80000030 4 0xaa", "OK"),
            ("memset 0x80000030 0 0xaa", "OK"),
            ("readl 2147483696", "OK 0x00000000aaaaaaaa"),
            ("readl 0", "OK 0x0000000000000000"),
            ("endianness", "OK little"),
            ("inb 0x10", "OK 0x00ff"),
            ("outl 0x10 1", "OK"),
        ]);
    }

    #[test]
    fn clock_lines_and_csrs_are_driven() {
        check(&[
            ("clock_step", "OK 10"),
            ("clock_step 1000", "OK 1010"),
            ("clock_set 5", "OK 5"),
            ("irq_intercept_in /nosuch", "FAIL Unknown device"),
            ("irq_intercept_in /plic", "OK"),
            (
                "irq_intercept_out /plic",
                "FAIL IRQ intercept already enabled",
            ),
            ("set_irq_in /plic unnamed-gpio-in 10 1", "OK"),
            ("csr get_csr 0 0x340 0", "OK 0 0000000000000007"),
            ("csr set_csr 0 0x340 5", "OK 0 0000000000000005"),
            ("module_load x y", "FAIL"),
        ]);
        assert_eq!(line_changed(10, true), "IRQ raise 10\n");
        assert_eq!(line_changed(10, false), "IRQ lower 10\n");
    }

    #[test]
    fn what_cannot_be_read_fails_and_does_no_harm() {
        check(&[
            ("bogus", "FAIL Unknown command 'bogus'"),
            ("", "FAIL Unknown command ''"),
            ("readl", "FAIL Missing argument"),
            ("readl zz", "FAIL 'zz' is not a number"),
            (
                "readl 0x1ffffffffffffffff",
                "FAIL '0x1ffffffffffffffff' is not a number",
            ),
            ("writel 0x80000000", "FAIL Missing argument"),
            ("read 0x80000000 0", "FAIL Length must not be zero"),
            (
                "read 0x80000000 0xffffffffffff",
                "FAIL Length 281474976710655 is too large",
            ),
            (
                "memset 0 0xffffffffffff 0",
                "FAIL Length 281474976710655 is too large",
            ),
            ("write 0x80000000 1 0xzz", "FAIL Data is not hexadecimal"),
            ("write 0x80000000 1 0x1", "FAIL Data is not hexadecimal"),
            ("b64write 0x80000000 1 =", "FAIL Data is not base64"),
            ("inl 0x10000", "FAIL There is no port 0x10000"),
            ("csr get_csr 0 0x12345 0", "FAIL There is no CSR 0x12345"),
            (
                "csr get_csr 9 0x340 0",
                "FAIL There is no CSR 0x340 of hart 9",
            ),
            ("readb 0x80000000", "OK 0x0000000000000000"),
        ]);
    }
}
