//! Integer expressions, as arguments of HMP commands.
//!
//! ```text
//! sum     = logic { ("+" | "-") logic }
//! logic   = product { ("&" | "|" | "^") product }
//! product = unary { ("*" | "/" | "%") unary }
//! unary   = ("+" | "-" | "~") unary | "(" sum ")" | "'" CHAR "'" | "$" NAME | NUMBER
//! ```
//! Values are 64 bits wide and wrap.

use super::cursor::Cursor;

/// How deep parentheses and signs may nest.
const MAX_DEPTH: usize = 64;

/// Finds the value of a register.
pub(super) type Registers<'a> = &'a dyn Fn(&str) -> Option<i64>;

/// Evaluates the expression that `cursor` stands at, and moves behind it.
pub(super) fn evaluate(cursor: &mut Cursor<'_>, registers: Registers<'_>) -> Result<i64, String> {
    let mut evaluator = Evaluator {
        cursor,
        registers,
        depth: 0,
    };
    evaluator.cursor.skip_blanks();
    evaluator.sum()
}

struct Evaluator<'a, 'l> {
    cursor: &'a mut Cursor<'l>,
    registers: Registers<'a>,
    depth: usize,
}

impl Evaluator<'_, '_> {
    fn sum(&mut self) -> Result<i64, String> {
        let mut value = self.logic()?;
        while let Some(operator) = self.operator(b"+-") {
            let right = self.logic()?;
            value = match operator {
                b'+' => value.wrapping_add(right),
                _ => value.wrapping_sub(right),
            };
        }
        Ok(value)
    }

    fn logic(&mut self) -> Result<i64, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.operator(b"&|^") {
            let right = self.product()?;
            value = match operator {
                b'&' => value & right,
                b'|' => value | right,
                _ => value ^ right,
            };
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<i64, String> {
        let mut value = self.unary()?;
        while let Some(operator) = self.operator(b"*/%") {
            let right = self.unary()?;
            value = match operator {
                b'*' => value.wrapping_mul(right),
                _ if right == 0 => return Err("division by zero".into()),
                b'/' => value.wrapping_div(right),
                _ => value.wrapping_rem(right),
            };
        }
        Ok(value)
    }

    fn unary(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("expression is nested too deeply".into());
        }
        let value = self.unary_within_depth();
        self.depth -= 1;
        value
    }

    fn unary_within_depth(&mut self) -> Result<i64, String> {
        let Some(first) = self.cursor.peek() else {
            return Err("unexpected end of expression".into());
        };
        match first {
            b'+' | b'-' | b'~' => {
                self.step();
                let value = self.unary()?;
                Ok(match first {
                    b'+' => value,
                    b'-' => value.wrapping_neg(),
                    _ => !value,
                })
            }
            b'(' => {
                self.step();
                let value = self.sum()?;
                self.close(b')', "')' expected")?;
                Ok(value)
            }
            b'\'' => self.character(),
            b'$' => self.register(),
            b'0'..=b'9' => self.number(),
            _ => Err(format!(
                "invalid char '{}' in expression",
                char::from(first)
            )),
        }
    }

    fn character(&mut self) -> Result<i64, String> {
        self.cursor.bump();
        let value = self.cursor.bump().ok_or("character constant expected")?;
        self.close(b'\'', "missing terminating ' character")?;
        Ok(value.into())
    }

    fn register(&mut self) -> Result<i64, String> {
        self.cursor.bump();
        let name = self
            .cursor
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':'));
        self.cursor.skip_blanks();
        (self.registers)(name).ok_or_else(|| "unknown register".into())
    }

    /// A number in the bases of C. A prefix without digits is a zero, and the
    /// rest is left.
    fn number(&mut self) -> Result<i64, String> {
        let rest = self.cursor.rest().as_bytes();
        let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
        let radix = match rest {
            [b'0', b'x' | b'X', ..] if is_hex(rest.get(2)) => 16,
            [b'0', ..] => 8,
            _ => 10,
        };
        if radix == 16 {
            self.cursor.bump();
            self.cursor.bump();
        }
        let digits = self
            .cursor
            .take_while(|byte| char::from(byte).is_digit(radix));
        self.cursor.skip_blanks();
        let value = u64::from_str_radix(digits, radix).map_err(|_| "number too large")?;
        Ok(value.cast_signed())
    }

    fn operator(&mut self, operators: &[u8]) -> Option<u8> {
        let operator = self.cursor.peek().filter(|byte| operators.contains(byte))?;
        self.step();
        Some(operator)
    }

    fn close(&mut self, bracket: u8, missing: &str) -> Result<(), String> {
        if self.cursor.peek() != Some(bracket) {
            return Err(missing.into());
        }
        self.step();
        Ok(())
    }

    fn step(&mut self) {
        self.cursor.bump();
        self.cursor.skip_blanks();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value, or the fault, and what is left of the text.
    fn check(text: &str, value: Result<i64, &str>, rest: &str) {
        let registers = |name: &str| (name == "pc").then_some(0x1000);
        let mut cursor = Cursor::new(text);
        let found = evaluate(&mut cursor, &registers);
        assert_eq!(found, value.map_err(String::from), "{text}");
        if found.is_ok() {
            assert_eq!(cursor.rest(), rest, "{text}");
        }
    }

    #[test]
    fn operators_bind_as_in_qemu() {
        for (text, value) in [
            ("1+2*3", 7),
            ("1+2&3", 3),
            ("2*3&1", 0),
            ("1|2+4", 7),
            ("7 % 4 * 2", 6),
            ("10-2-3", 5),
            ("100/5/2", 10),
            ("(1+2)*3", 9),
            ("--5", 5),
            ("~0", -1),
            ("- 5", -5),
            ("-7/2", -3),
            ("-7%4", -3),
            ("'a'", 97),
            ("$pc + 4", 0x1004),
            ("0X1f", 31),
            ("010", 8),
            ("18446744073709551615", -1),
            ("0x8000000000000000/-1", i64::MIN),
        ] {
            check(text, Ok(value), "");
        }
    }

    #[test]
    fn an_expression_ends_where_it_must() {
        check("1 2", Ok(1), "2");
        check("08", Ok(0), "8");
        check("0x", Ok(0), "x");
        check("0b1", Ok(0), "b1");
        check("1)", Ok(1), ")");
        check("1<<3", Ok(1), "<<3");
    }

    #[test]
    fn faults_are_worded_as_in_qemu() {
        for (text, fault) in [
            ("", "unexpected end of expression"),
            ("1+", "unexpected end of expression"),
            ("(1+2", "')' expected"),
            ("!5", "invalid char '!' in expression"),
            ("a", "invalid char 'a' in expression"),
            ("5/0", "division by zero"),
            ("5%0", "division by zero"),
            ("$foo", "unknown register"),
            ("$", "unknown register"),
            ("'", "character constant expected"),
            ("'ab'", "missing terminating ' character"),
            ("18446744073709551616", "number too large"),
        ] {
            check(text, Err(fault), "");
        }
        check(
            &"(".repeat(1 << 20),
            Err("expression is nested too deeply"),
            "",
        );
    }
}
