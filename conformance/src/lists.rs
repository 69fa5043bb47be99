//! Which commands may be carried out for a test. The list is data, so that
//! everybody can see it: `checks/commands.list`.

const LIST: &str = include_str!("../checks/commands.list");

/// What may be done with a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conduct {
    /// It answers and changes nothing: it is carried out.
    Reads,
    /// It changes something: it is sent with arguments that must be refused,
    /// and only to servers that may be harmed.
    Changes,
    /// It could reach beyond the server: it is never sent.
    Never,
}

impl Conduct {
    /// The word that the list uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Changes => "changes",
            Self::Never => "never",
        }
    }

    /// What may be done with a command of that name.
    #[must_use]
    pub fn of(command: &str) -> Self {
        let stated = lines().find(|(_, pattern, _)| matches(pattern, command));
        stated.map_or(Self::Changes, |(conduct, _, _)| conduct)
    }
}

/// The list: what may be done, with which commands, and why.
pub fn lines() -> impl Iterator<Item = (Conduct, &'static str, &'static str)> {
    LIST.lines().filter_map(|line| {
        let (line, why) = line.split_once(": ")?;
        let (conduct, pattern) = line.split_once(' ')?;
        let conduct = match conduct {
            "reads" => Conduct::Reads,
            "never" => Conduct::Never,
            _ => return None,
        };
        Some((conduct, pattern, why))
    })
}

/// Whether a pattern, in which `*` stands for anything, fits a whole name.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            rest.is_empty() || ends.into_iter().any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        let check = |pattern, name, expected| {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        };
        check("query-*", "query-name", true);
        check("query-*", "x-query-name", false);
        check("*-list*", "qom-list-types", true);
        check("stop", "stop", true);
        check("stop", "stopped", false);
        check("*", "", true);
    }

    #[test]
    fn every_line_of_the_list_is_read() {
        let written = LIST
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(lines().count(), written.count());
        assert_eq!(Conduct::of("query-status"), Conduct::Reads);
        assert_eq!(Conduct::of("device_del"), Conduct::Changes);
        assert_eq!(Conduct::of("pmemsave"), Conduct::Never);
    }
}
