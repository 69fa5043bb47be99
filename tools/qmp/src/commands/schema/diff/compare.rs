//! The comparison of two schemas.

use std::collections::HashSet;

use tinamou_qapi::{Body, Branch, Definition, Enum, Feature, Member, Schema, TypeRef};

/// Types nested deeper than any of QEMU's are not looked at.
const DEPTH: usize = 64;

/// Whom a change hurts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Commands,
    Reading,
    Compatible,
}

/// A difference.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    pub verdict: Verdict,
    /// The command or event, with the way into its data.
    pub path: String,
    pub what: String,
}

/// Which way values go: a server must take at least as much as before, and
/// say no less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    Sent,
    Read,
}

impl Way {
    fn broken(self) -> Verdict {
        match self {
            Self::Sent => Verdict::Commands,
            Self::Read => Verdict::Reading,
        }
    }
}

/// All differences, in the order of the old schema, what is new last.
pub(super) fn changes(old: &Schema, new: &Schema) -> Vec<Change> {
    let mut comparison = Comparison {
        old,
        new,
        seen: HashSet::new(),
        depth: 0,
        changes: Vec::new(),
    };
    for entry in entries(old) {
        match entries(new).find(|other| other.name == entry.name) {
            Some(other) => comparison.entry(entry, other),
            None => {
                let verdict = match entry.body {
                    Body::Command(_) => Verdict::Commands,
                    _ => Verdict::Reading,
                };
                comparison.tell(verdict, &entry.name, "is gone");
            }
        }
    }
    for entry in entries(new) {
        if !entries(old).any(|other| other.name == entry.name) {
            comparison.tell(Verdict::Compatible, &entry.name, "is new");
        }
    }
    comparison.changes
}

fn entries(schema: &Schema) -> impl Iterator<Item = &Definition> {
    let definitions = schema.in_order();
    definitions.filter(|found| matches!(found.body, Body::Command(_) | Body::Event(_)))
}

/// An object: the members that are always possible, and those by tag.
struct Shape<'a> {
    members: Vec<&'a Member>,
    branches: &'a [Branch],
}

/// The type of a command's arguments or an event's data, if it has a name.
fn data(definition: &Definition) -> Option<&str> {
    match &definition.body {
        Body::Command(command) => command.data.as_deref(),
        Body::Event(event) => event.data.as_deref(),
        _ => None,
    }
}

fn shape<'a>(schema: &'a Schema, definition: &'a Definition) -> Shape<'a> {
    let named = data(definition).and_then(|data| schema.find(data));
    let definition = named.unwrap_or(definition);
    Shape {
        members: match &definition.body {
            Body::Struct(_) | Body::Union(_) => schema.members(definition),
            body => body.members().iter().collect(),
        },
        branches: branches(definition),
    }
}

fn branches(definition: &Definition) -> &[Branch] {
    match &definition.body {
        Body::Union(union) => &union.branches,
        Body::Alternate(alternate) => &alternate.branches,
        _ => &[],
    }
}

struct Comparison<'a> {
    old: &'a Schema,
    new: &'a Schema,
    seen: HashSet<(&'a str, &'a str, Way)>,
    depth: usize,
    changes: Vec<Change>,
}

impl<'a> Comparison<'a> {
    fn tell(&mut self, verdict: Verdict, path: &str, what: impl Into<String>) {
        self.changes.push(Change {
            verdict,
            path: path.to_owned(),
            what: what.into(),
        });
    }

    fn entry(&mut self, old: &'a Definition, new: &'a Definition) {
        let path = &old.name;
        self.features(path, &old.features, &new.features);
        match (&old.body, &new.body) {
            (Body::Command(was), Body::Command(is)) => {
                if was.allow_oob && !is.allow_oob {
                    self.tell(Verdict::Commands, path, "may not run out of band any more");
                }
                self.data(path, old, new, Way::Sent);
                match (&was.returns, &is.returns) {
                    (Some(was), Some(is)) => self.types(path, was, is, Way::Read),
                    (Some(_), None) => self.tell(Verdict::Reading, path, "returns nothing now"),
                    (None, Some(_)) => {
                        self.tell(Verdict::Compatible, path, "returns something now")
                    }
                    (None, None) => {}
                }
            }
            (Body::Event(_), Body::Event(_)) => self.data(path, old, new, Way::Read),
            _ => self.tell(
                Verdict::Commands,
                path,
                "is no command any more, or none yet",
            ),
        }
    }

    fn data(&mut self, path: &str, old: &'a Definition, new: &'a Definition, way: Way) {
        match (data(old), data(new)) {
            (Some(old), Some(new)) => self.named(path, old, new, way),
            _ => self.objects(path, old, new, way),
        }
    }

    fn features(&mut self, path: &str, old: &[Feature], new: &[Feature]) {
        let has = |features: &[Feature], name: &str| features.iter().any(|f| f.name == name);
        for name in ["deprecated", "unstable"] {
            match (has(old, name), has(new, name)) {
                (false, true) => self.tell(Verdict::Compatible, path, format!("is {name} now")),
                (true, false) => {
                    self.tell(Verdict::Compatible, path, format!("is not {name} any more"));
                }
                _ => {}
            }
        }
    }

    fn objects(&mut self, path: &str, old: &'a Definition, new: &'a Definition, way: Way) {
        let (was, is) = (shape(self.old, old), shape(self.new, new));
        self.members(path, &was.members, &is, way);
        for branch in was.branches {
            let Some(found) = is.branches.iter().find(|found| found.name == branch.name) else {
                // That a value of the tag is gone is told of the tag.
                continue;
            };
            let path = format!("{path}<{}>", branch.name);
            self.types(&path, &branch.kind, &found.kind, way);
        }
    }

    fn members(&mut self, path: &str, old: &[&'a Member], new: &Shape<'a>, way: Way) {
        for member in old {
            let path = format!("{path}.{}", member.name);
            let found = new.members.iter().find(|found| found.name == member.name);
            match found {
                Some(found) => self.member(&path, member, found, way),
                None if way == Way::Read && member.optional => {
                    self.tell(Verdict::Compatible, &path, "is gone, and was optional");
                }
                None => self.tell(way.broken(), &path, "is gone"),
            }
        }
        for member in &new.members {
            if old.iter().any(|known| known.name == member.name) {
                continue;
            }
            let path = format!("{path}.{}", member.name);
            match way == Way::Sent && !member.optional {
                true => self.tell(Verdict::Commands, &path, "is new, and required"),
                false => self.tell(Verdict::Compatible, &path, "is new"),
            }
        }
    }

    fn member(&mut self, path: &str, old: &'a Member, new: &'a Member, way: Way) {
        self.features(path, &old.features, &new.features);
        match (old.optional, new.optional, way) {
            (true, false, Way::Sent) => self.tell(Verdict::Commands, path, "is required now"),
            (false, true, Way::Read) => self.tell(Verdict::Reading, path, "is optional now"),
            (true, false, Way::Read) => self.tell(Verdict::Compatible, path, "is always there now"),
            (false, true, Way::Sent) => self.tell(Verdict::Compatible, path, "is optional now"),
            _ => {}
        }
        self.types(path, &old.kind, &new.kind, way);
    }

    fn types(&mut self, path: &str, old: &'a TypeRef, new: &'a TypeRef, way: Way) {
        if self.depth == DEPTH {
            return;
        }
        self.depth += 1;
        match (old, new) {
            (TypeRef::List(old), TypeRef::List(new)) => {
                self.named(&format!("{path}[]"), old, new, way);
            }
            (TypeRef::Name(old), TypeRef::Name(new)) => self.named(path, old, new, way),
            _ => self.tell(way.broken(), path, another(old, new)),
        }
        self.depth -= 1;
    }

    fn named(&mut self, path: &str, old: &'a str, new: &'a str, way: Way) {
        let found = (self.old.find(old), self.new.find(new));
        let (was, is) = match found {
            (Some(was), Some(is)) => (was, is),
            (None, None) if old == new => return,
            // Numbers: what takes more is fine where values are sent.
            (None, None) if (old, new, way) == ("int", "number", Way::Sent) => return,
            (None, None) if (old, new, way) == ("number", "int", Way::Read) => return,
            _ if (new, way) == ("any", Way::Sent) || (old, way) == ("any", Way::Read) => return,
            (was, is) => return self.alternates(path, (old, was), (new, is), way),
        };
        if !self.seen.insert((old, new, way)) {
            return;
        }
        match (&was.body, &is.body) {
            (Body::Enum(was), Body::Enum(is)) => self.values(path, was, is, way),
            (Body::Struct(_) | Body::Union(_), Body::Struct(_) | Body::Union(_)) => {
                self.objects(path, was, is, way);
            }
            _ => self.alternates(path, (old, Some(was)), (new, Some(is)), way),
        }
    }

    fn values(&mut self, path: &str, old: &'a Enum, new: &'a Enum, way: Way) {
        for value in &old.values {
            let path = format!("{path}={}", value.name);
            match (
                new.values.iter().find(|found| found.name == value.name),
                way,
            ) {
                (Some(found), _) => self.features(&path, &value.features, &found.features),
                (None, Way::Sent) => self.tell(Verdict::Commands, &path, "is gone"),
                (None, Way::Read) => self.tell(Verdict::Compatible, &path, "is gone"),
            }
        }
        for value in &new.values {
            if !old.values.iter().any(|known| known.name == value.name) {
                self.tell(
                    Verdict::Compatible,
                    &format!("{path}={}", value.name),
                    "is new",
                );
            }
        }
    }

    /// Types of which one at least is an alternate, or that have nothing in
    /// common. Those that the stricter side has must all find their like.
    fn alternates(
        &mut self,
        path: &str,
        (old, was): (&'a str, Option<&'a Definition>),
        (new, is): (&'a str, Option<&'a Definition>),
        way: Way,
    ) {
        let olds = choices(old, was);
        let news = choices(new, is);
        for old in olds.iter().copied() {
            let like = kind(self.old, old);
            match news.iter().find(|new| kind(self.new, new) == like) {
                Some(new) if olds.len() > 1 || news.len() > 1 => self.named(path, old, new, way),
                _ if way == Way::Sent => {
                    self.tell(
                        way.broken(),
                        path,
                        format!("may not be of type {like} any more"),
                    );
                }
                _ => {}
            }
        }
        for new in news {
            let like = kind(self.new, new);
            if !olds.iter().any(|old| kind(self.old, old) == like) {
                let verdict = match way {
                    Way::Sent => Verdict::Compatible,
                    Way::Read => Verdict::Reading,
                };
                self.tell(verdict, path, format!("may be of type {like} now"));
            }
        }
    }
}

/// The types that a value may be of.
fn choices<'a>(name: &'a str, definition: Option<&'a Definition>) -> Vec<&'a str> {
    match definition.map(|found| &found.body) {
        Some(Body::Alternate(alternate)) => {
            let branches = alternate.branches.iter();
            branches.map(|branch| branch.kind.name()).collect()
        }
        _ => vec![name],
    }
}

/// What a type's values look like in JSON.
fn kind(schema: &Schema, name: &str) -> &'static str {
    match schema.find(name).map(|found| &found.body) {
        Some(Body::Enum(_)) => "string",
        Some(_) => "object",
        None => match name {
            "str" => "string",
            "int" => "integer",
            "number" => "number",
            "bool" => "boolean",
            "null" => "null",
            _ => "value of any type",
        },
    }
}

fn another(old: &TypeRef, new: &TypeRef) -> &'static str {
    match (old, new) {
        (TypeRef::List(_), _) => "is no list any more",
        (_, TypeRef::List(_)) => "is a list now",
        _ => "is of another type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn compile(text: &str) -> Schema {
        let load = |_: &Path| Ok(text.to_owned());
        tinamou_qapi::compile_with(Path::new("main.json"), &load)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Rows are verdict, path and change; `c` and `r` break.
    fn check(old: &str, new: &str, expected: &[&str]) {
        let changes = changes(&compile(old), &compile(new));
        let changes: Vec<String> = changes
            .iter()
            .map(|change| {
                let verdict = match change.verdict {
                    Verdict::Commands => "c",
                    Verdict::Reading => "r",
                    Verdict::Compatible => "-",
                };
                format!("{verdict} {}: {}", change.path, change.what)
            })
            .collect();
        assert_eq!(changes, expected, "{old} -> {new}");
    }

    #[test]
    fn commands_and_events_come_and_go() {
        check(
            "{ 'command': 'a' }\n{ 'event': 'B' }\n{ 'command': 'c', 'allow-oob': true }",
            "{ 'command': 'c' }\n{ 'command': 'd' }",
            &[
                "c a: is gone",
                "r B: is gone",
                "c c: may not run out of band any more",
                "- d: is new",
            ],
        );
    }

    #[test]
    fn members_are_judged_by_their_way() {
        let old =
            "{ 'struct': 'Stub', 'data': { 'a': 'str', '*b': 'int', 'c': 'int', '*g': 'Stub' } }";
        let new =
            "{ 'struct': 'Stub', 'data': { '*a': 'str', 'b': 'int', 'd': 'int', '*g': 'Stub' } }";
        check(
            &format!("{old}\n{{ 'command': 'x', 'data': 'Stub' }}"),
            &format!("{new}\n{{ 'command': 'x', 'data': 'Stub' }}"),
            &[
                "- x.a: is optional now",
                "c x.b: is required now",
                "c x.c: is gone",
                "c x.d: is new, and required",
            ],
        );
        check(
            &format!("{old}\n{{ 'command': 'x', 'returns': ['Stub'] }}"),
            &format!("{new}\n{{ 'command': 'x', 'returns': ['Stub'] }}"),
            &[
                "r x[].a: is optional now",
                "- x[].b: is always there now",
                "r x[].c: is gone",
                "- x[].d: is new",
            ],
        );
    }

    #[test]
    fn values_and_branches_are_judged_by_their_way() {
        let schema = |values: &str, ways: &str| {
            format!(
                "{{ 'enum': 'Edge', 'data': [{values}] }}\n{{ 'struct': 'Part', 'data': {{ 'p': 'int' }} }}\n\
                 {{ 'union': 'Union', 'base': {{ 'e': 'Edge' }}, 'discriminator': 'e', 'data': {{ 'p': 'Part' }} }}\n{ways}"
            )
        };
        let sent = "{ 'command': 'x', 'data': 'Union', 'boxed': true }";
        check(
            &schema("'p', 'q'", sent),
            &schema("'p', 'r'", sent),
            &["c x.e=q: is gone", "- x.e=r: is new"],
        );
        let read = "{ 'event': 'X', 'data': { 'un': 'Union' } }";
        check(
            &schema("'p', 'q'", read),
            &schema("'p', 'r'", read),
            &["- X.un.e=q: is gone", "- X.un.e=r: is new"],
        );
    }

    #[test]
    fn types_may_grow_where_values_are_sent() {
        let alternate = "{ 'alternate': 'Either', 'data': { 's': 'str', 'n': 'null' } }";
        let sent =
            |kind: &str| format!("{alternate}\n{{ 'command': 'x', 'data': {{ 'a': {kind} }} }}");
        let read =
            |kind: &str| format!("{alternate}\n{{ 'event': 'X', 'data': {{ 'a': {kind} }} }}");
        check(
            &sent("'str'"),
            &sent("'Either'"),
            &["- x.a: may be of type null now"],
        );
        check(
            &sent("'Either'"),
            &sent("'str'"),
            &["c x.a: may not be of type null any more"],
        );
        check(
            &read("'str'"),
            &read("'Either'"),
            &["r X.a: may be of type null now"],
        );
        check(&read("'Either'"), &read("'str'"), &[]);
        check(&sent("'int'"), &sent("'number'"), &[]);
        check(
            &sent("'number'"),
            &sent("'int'"),
            &[
                "c x.a: may not be of type number any more",
                "- x.a: may be of type integer now",
            ],
        );
        check(&sent("'str'"), &sent("['str']"), &["c x.a: is a list now"]);
        check(
            &read("['str']"),
            &read("'str'"),
            &["r X.a: is no list any more"],
        );
    }
}
