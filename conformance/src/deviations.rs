//! Known deviations: what servers of which versions are known to do
//! otherwise, and why that is left alone.

use serde::Deserialize;
use serde_json::Value;

use crate::lists::matches;

const KNOWN: &str = include_str!("../deviations.json");

/// A deviation that is known.
#[derive(Clone, Debug, Deserialize)]
pub struct Deviation {
    /// Whose builds: `QEMU`, or the first word of another server's
    /// `package`.
    pub server: String,
    /// The first version that has it.
    pub since: Option<String>,
    /// The first version that has it no more.
    pub until: Option<String>,
    /// The id of a check.
    pub check: String,
    /// Which of the cases of that check; all if left out.
    pub case: Option<String>,
    /// What the server does, and why.
    pub why: String,
}

/// What a greeting says of the server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Version {
    /// Major, minor and micro.
    pub numbers: [u64; 3],
    /// The vendor's addition.
    pub package: String,
}

impl Version {
    /// Reads a greeting.
    pub(crate) fn of_greeting(greeting: &Value) -> Self {
        let version = &greeting["QMP"]["version"];
        let part = |name: &str| version["qemu"][name].as_u64().unwrap_or_default();
        Self {
            numbers: [part("major"), part("minor"), part("micro")],
            package: version["package"].as_str().unwrap_or_default().to_owned(),
        }
    }

    fn is_before(&self, other: &str) -> bool {
        let mut parts = other.split('.').map(|part| part.parse().unwrap_or(0));
        let other: [u64; 3] = std::array::from_fn(|_| parts.next().unwrap_or(0));
        self.numbers < other
    }
}

/// The deviations that are known of all servers.
#[must_use]
pub fn deviations() -> Vec<Deviation> {
    serde_json::from_str(KNOWN).expect("deviations.json is well-formed")
}

impl Deviation {
    /// Whether it is one of that server's.
    #[must_use]
    pub fn concerns(&self, version: &Version) -> bool {
        let since = self.since.as_deref();
        let until = self.until.as_deref();
        matches(&self.server, version.server())
            && !since.is_some_and(|since| version.is_before(since))
            && until.is_none_or(|until| version.is_before(until))
    }

    /// Whether it is about this case of this check.
    #[must_use]
    pub fn covers(&self, check: &str, case: Option<&str>) -> bool {
        let of_case = self.case.as_deref();
        self.check == check
            && of_case.is_none_or(|pattern| case.is_some_and(|case| matches(pattern, case)))
    }
}

impl Version {
    /// Whose build it is: QEMU's if the package does not say otherwise.
    fn server(&self) -> &str {
        match self.package.split([' ', '-', '/']).next() {
            Some("Tinamou") => "Tinamou",
            _ => "QEMU",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(numbers: [u64; 3], package: &str) -> Version {
        Version {
            numbers,
            package: package.to_owned(),
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        let check = |since: Option<&str>, until: Option<&str>, numbers, expected| {
            let deviation = Deviation {
                server: "QEMU".to_owned(),
                since: since.map(str::to_owned),
                until: until.map(str::to_owned),
                check: "a/b".to_owned(),
                case: None,
                why: String::new(),
            };
            let found = deviation.concerns(&version(numbers, "Debian 1"));
            assert_eq!(found, expected, "{deviation:?} {numbers:?}");
        };
        check(None, None, [10, 0, 2], true);
        check(Some("9.1"), None, [10, 0, 2], true);
        check(Some("10.1"), None, [10, 0, 2], false);
        check(None, Some("9.1"), [10, 0, 0], false);
        check(None, Some("10"), [9, 2, 0], true);
        check(Some("7.2"), Some("8"), [7, 2, 22], true);
    }

    #[test]
    fn the_list_names_checks_that_there_are() {
        let checks = crate::checks();
        for deviation in deviations() {
            let there = checks.iter().any(|check| check.id == deviation.check);
            assert!(there, "{deviation:?}");
            assert!(!deviation.why.is_empty(), "{deviation:?}");
        }
    }
}
