//! Names with `*` in them.

/// Whether `name` fits a pattern in which `*` stands for anything, also for
/// nothing. It takes time with the product of the two lengths at most.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let head = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(head) else {
        return false;
    };
    let Some(tail) = parts.next_back() else {
        return rest.is_empty();
    };
    // Between two stars the leftmost place is as good as any.
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit() {
        for (pattern, name, fits) in [
            ("stop", "stop", true),
            ("stop", "stopped", false),
            ("query-*", "query-status", true),
            ("query-*", "stop", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*-block*", "query-blockstats", true),
            ("*-block", "query-blockstats", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
