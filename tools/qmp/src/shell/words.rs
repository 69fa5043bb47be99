//! Cutting a line into words.

/// A word of a line, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) start: usize,
    pub(super) text: &'a str,
}

/// What is open where a text ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    quote: Option<char>,
    depth: usize,
}

impl Open {
    /// Whether nothing is: the text is whole.
    pub(super) fn nothing(self) -> bool {
        self == Self::default()
    }
}

/// Cuts at blanks, except in quotes, braces and brackets; says what is open
/// at the end.
pub(super) fn split(line: &str) -> (Vec<Word<'_>>, Open) {
    let mut words = Vec::new();
    let mut start = None;
    let mut open = Open::default();
    let mut escaped = false;
    for (place, character) in line.char_indices() {
        if character.is_whitespace() && open.nothing() {
            words.extend(start.take().map(|start| (start, place)));
            continue;
        }
        start.get_or_insert(place);
        match (open.quote, character) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(quote), _) if quote == character => open.quote = None,
            (None, '"' | '\'') => open.quote = Some(character),
            (None, '{' | '[') => open.depth += 1,
            (None, '}' | ']') => open.depth = open.depth.saturating_sub(1),
            _ => {}
        }
    }
    words.extend(start.map(|start| (start, line.len())));
    let words = words.into_iter().map(|(start, end)| Word {
        start,
        text: &line[start..end],
    });
    (words.collect(), open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_part_words_but_not_values() {
        for (line, expected) in [
            ("", vec![]),
            ("  a  b ", vec!["a", "b"]),
            ("a b={'c': [1, 2]} d", vec!["a", "b={'c': [1, 2]}", "d"]),
            (
                "a b=\"c d\" e='f \\' g'",
                vec!["a", "b=\"c d\"", "e='f \\' g'"],
            ),
            (
                "transaction( a b=1 )",
                vec!["transaction(", "a", "b=1", ")"],
            ),
        ] {
            let (words, open) = split(line);
            let words: Vec<&str> = words.iter().map(|word| word.text).collect();
            assert_eq!(words, expected, "{line}");
            assert!(open.nothing(), "{line}");
        }
    }

    #[test]
    fn what_is_open_is_known() {
        for line in ["a {", "a 'b", "{\"a\": [1, 2", "a \"b\\\""] {
            assert!(!split(line).1.nothing(), "{line}");
        }
    }
}
