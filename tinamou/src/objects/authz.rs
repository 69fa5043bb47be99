//! `authz-simple`, `authz-list`, `authz-list-file`: which identities may connect.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_api as api;
use tinamou_chardev::Authorizer;
use tinamou_qmp::{Error, Object, Result, Value, ValueSource, Visit as _, json};
use tinamou_qom::Property;

use super::user::UserType;
use crate::commands::machine::reason;

/// One identity.
pub const SIMPLE: UserType = UserType {
    name: "authz-simple",
    parent: "authz",
    properties: &[("identity", "string", None)],
};

/// Rules, of which the first that fits decides.
pub const LIST: UserType = UserType {
    name: "authz-list",
    parent: "authz",
    properties: &[
        ("policy", "QAuthZListPolicy", None),
        ("rules", "QAuthZListRule", None),
    ],
};

/// Rules in a file.
pub const LIST_FILE: UserType = UserType {
    name: "authz-list-file",
    parent: "authz",
    properties: &[("filename", "string", None), ("refresh", "bool", None)],
};

/// Who decides, by id. Connections come in on other threads and look here.
pub type Register = Arc<Mutex<BTreeMap<String, Arc<Authz>>>>;

/// Lets the object with that id decide, which need not be there yet; without it nobody gets in.
pub fn authorizer(register: &Register, id: &str) -> Authorizer {
    let (register, id) = (Arc::clone(register), id.to_owned());
    Authorizer::new(move |identity| {
        let decides = lock(&register).get(&id).cloned();
        decides.is_some_and(|authz| authz.admits(identity))
    })
}

/// An object that decides.
#[derive(Debug)]
pub enum Authz {
    /// This identity alone.
    Simple(Arc<Mutex<String>>),
    /// Those that the rules let in.
    List(Arc<Mutex<List>>),
    /// The same with rules from a file.
    File(ListFile),
}

/// Rules, and what holds when none of them fits.
#[derive(Clone, Debug)]
pub struct List {
    policy: api::QAuthZListPolicy,
    rules: Vec<api::QAuthZListRule>,
}

/// Where rules are read from.
#[derive(Debug)]
pub struct ListFile {
    filename: String,
    /// The rules as they were at first, unless the file is read for every decision.
    fixed: Option<List>,
}

impl Authz {
    /// One identity.
    pub fn simple(options: &api::AuthZSimpleProperties) -> Self {
        Self::Simple(Arc::new(Mutex::new(options.identity.clone())))
    }

    /// Rules.
    pub fn list(options: &api::AuthZListProperties) -> Self {
        Self::List(Arc::new(Mutex::new(List::new(options.clone()))))
    }

    /// Rules in a file.
    ///
    /// # Errors
    /// It cannot be read, or they make no sense.
    pub fn file(options: &api::AuthZListFileProperties) -> Result<Self> {
        let filename = options.filename.clone();
        let list = List::load(&filename)?;
        let fixed = (options.refresh == Some(false)).then_some(list);
        Ok(Self::File(ListFile { filename, fixed }))
    }

    /// The type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Simple(_) => SIMPLE.name,
            Self::List(_) => LIST.name,
            Self::File(_) => LIST_FILE.name,
        }
    }

    /// Whether that identity may connect.
    pub fn admits(&self, identity: &str) -> bool {
        match self {
            Self::Simple(wanted) => *lock(wanted) == identity,
            Self::List(list) => lock(list).admits(identity),
            Self::File(ListFile {
                fixed: Some(list), ..
            }) => list.admits(identity),
            // A file that is broken now admits nobody.
            Self::File(file) => List::load(&file.filename).is_ok_and(|list| list.admits(identity)),
        }
    }

    pub(super) fn properties(&self) -> Vec<(&'static str, Property)> {
        match self {
            Self::Simple(wanted) => vec![("identity", identity(wanted))],
            Self::List(list) => vec![("policy", policy(list)), ("rules", rules(list))],
            Self::File(file) => {
                let filename = Value::String(file.filename.clone());
                let refresh = Value::Bool(file.fixed.is_none());
                vec![
                    ("filename", Property::constant("string", filename)),
                    ("refresh", Property::constant("bool", refresh)),
                ]
            }
        }
    }
}

impl List {
    fn new(options: api::AuthZListProperties) -> Self {
        Self {
            policy: options.policy.unwrap_or(api::QAuthZListPolicy::Deny),
            rules: options.rules.unwrap_or_default(),
        }
    }

    fn load(filename: &str) -> Result<Self> {
        let content = std::fs::read(Path::new(filename)).map_err(|error| {
            let reason = reason(&error);
            Error::generic(format!("Unable to read '{filename}': {reason}"))
        })?;
        let value = json::parse(&content)?;
        if !matches!(value, Value::Object(_)) {
            let wanted = format!("File '{filename}' must contain a JSON object");
            return Err(Error::generic(wanted));
        }
        let options = api::AuthZListProperties::visit(&mut ValueSource::json(value), None)?;
        Ok(Self::new(options))
    }

    fn admits(&self, identity: &str) -> bool {
        let fits = |rule: &&api::QAuthZListRule| match rule.format {
            Some(api::QAuthZListFormat::Glob) => glob(&rule.r#match, identity),
            _ => rule.r#match == identity,
        };
        let rule = self.rules.iter().find(fits);
        rule.map_or(self.policy, |rule| rule.policy) == api::QAuthZListPolicy::Allow
    }
}

fn identity(identity: &Arc<Mutex<String>>) -> Property {
    let [asked, told] = [(); 2].map(|()| Arc::clone(identity));
    Property::writable::<String>(
        "identity",
        "string",
        move || Value::String(lock(&asked).clone()),
        move |new| {
            *lock(&told) = new;
            Ok(())
        },
    )
}

fn policy(list: &Arc<Mutex<List>>) -> Property {
    let [asked, told] = [(); 2].map(|()| Arc::clone(list));
    Property::writable::<api::QAuthZListPolicy>(
        "policy",
        "QAuthZListPolicy",
        move || text(lock(&asked).policy.as_str()),
        move |new| {
            lock(&told).policy = new;
            Ok(())
        },
    )
}

fn rules(list: &Arc<Mutex<List>>) -> Property {
    let [asked, told] = [(); 2].map(|()| Arc::clone(list));
    Property::writable::<Vec<api::QAuthZListRule>>(
        "rules",
        "QAuthZListRule",
        move || Value::Array(lock(&asked).rules.iter().map(rule_value).collect()),
        move |new| {
            lock(&told).rules = new;
            Ok(())
        },
    )
}

fn rule_value(rule: &api::QAuthZListRule) -> Value {
    let members = [
        ("match", Some(rule.r#match.as_str())),
        ("policy", Some(rule.policy.as_str())),
        ("format", rule.format.map(|format| format.as_str())),
    ];
    let members = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), text(value?))));
    Value::Object(members.collect::<Object>())
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// Whether a text is as a pattern says, in which `*` is any text and `?` any letter.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // The last star, and how much of the text it stands for so far.
    let mut star = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((place, swallowed)) = &mut star else {
                    return false;
                };
                *swallowed += 1;
                (at, seen) = (*place + 1, *swallowed);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit() {
        let check = |pattern, text, fits| assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("a*c", "abbc", true);
        check("a*c", "abcb", false);
        check("*ab*b", "aabbab", true);
        check("?é", "aé", true);
        check("?", "", false);
        check("a?*", "a", false);
        check("CN=*,O=x", "CN=a,O=y,O=x", true);
        check(&"*a".repeat(30), &"b".repeat(3000), false);
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rule = |text: &str, policy, format| api::QAuthZListRule {
            r#match: text.into(),
            policy,
            format,
        };
        let (allow, deny) = (api::QAuthZListPolicy::Allow, api::QAuthZListPolicy::Deny);
        let glob = Some(api::QAuthZListFormat::Glob);
        let rules = vec![
            rule("CN=bad*", deny, glob),
            rule("CN=*", allow, glob),
            rule("O=*", allow, None),
        ];
        let check = |policy, identity, admitted| {
            let options = api::AuthZListProperties {
                policy,
                rules: Some(rules.clone()),
            };
            assert_eq!(
                Authz::list(&options).admits(identity),
                admitted,
                "{identity}"
            );
        };
        check(None, "CN=bad one", false);
        check(None, "CN=good", true);
        check(None, "O=*", true);
        check(None, "O=a", false);
        check(Some(allow), "O=a", true);
        check(Some(allow), "CN=bad", false);
    }

    #[test]
    fn a_file_is_read_anew() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let write = |text: &str| std::fs::write(file.path(), text).expect("written");
        let open = |refresh| {
            Authz::file(&api::AuthZListFileProperties {
                filename: file.path().display().to_string(),
                refresh,
            })
        };
        write("[]");
        let wrong = open(None).expect_err("no object").desc;
        assert!(wrong.ends_with("must contain a JSON object"), "{wrong}");
        write(r#"{"rules": [{"match": "a", "policy": "allow"}]}"#);
        let (fresh, fixed) = (
            open(None).expect("rules"),
            open(Some(false)).expect("rules"),
        );
        let check = |identity, expected: (bool, bool)| {
            let found = (fresh.admits(identity), fixed.admits(identity));
            assert_eq!(found, expected, "{identity}");
        };
        check("a", (true, true));
        write(r#"{"policy": "allow"}"#);
        check("b", (true, false));
        write("nonsense");
        check("a", (false, true));
    }
}
