//! What things of the interface mean, in a sentence: from our own schema,
//! since servers tell types and no documentation.

use tinamou_qapi::{Body, Command, Definition, Event, Member, Object, Schema, Union};

use crate::known::{self, first_sentence, sentence};

/// The documentation of one kind of server. It is unpacked when it is first
/// asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Docs {
    Monitor,
    Agent,
}

impl Docs {
    fn schema(self) -> &'static Schema {
        match self {
            Self::Monitor => known::monitor(),
            Self::Agent => known::agent(),
        }
    }

    /// What a command or an event is.
    pub(super) fn summary(self, name: &str) -> String {
        let found = self.schema().find(name);
        first_sentence(found.and_then(|found| found.doc.as_ref()))
    }

    /// What the member is to which a path leads from a command or an event.
    pub(super) fn member(self, name: &str, path: &str) -> String {
        let from = self.schema().find(name);
        let found = from.and_then(|from| self.walk(from, path));
        found.map_or(String::new(), |it| it.doc())
    }

    /// What a member is of what a command returns.
    pub(super) fn returned(self, command: &str, member: &str) -> String {
        let Some(Body::Command(command)) = self.schema().find(command).map(|it| &it.body) else {
            return String::new();
        };
        let returned = command.returns.as_ref();
        let returned = returned.and_then(|it| self.schema().find(it.name()));
        let found = returned.and_then(|it| self.walk(it, member));
        found.map_or(String::new(), |it| it.doc())
    }

    /// What a value means, of the enumeration to which a path leads.
    pub(super) fn value(self, command: &str, path: &str, value: &str) -> String {
        let from = self.schema().find(command);
        let found = from.and_then(|from| self.walk(from, path));
        let kind = found.and_then(|it| self.schema().find(it.member.kind.name()));
        let doc = kind.and_then(|kind| kind.doc.as_ref()?.member(value));
        doc.map_or(String::new(), sentence)
    }

    /// Follows a path; numbers in it are places in lists.
    fn walk(self, from: &'static Definition, path: &str) -> Option<Found> {
        let names = path.split('.').filter(|name| name.parse::<u32>().is_err());
        let mut at = Some(from);
        let mut found = None;
        for name in names {
            let step = self.look(at?, name)?;
            at = self.schema().find(step.member.kind.name());
            found = Some(step);
        }
        found
    }

    /// A member, wherever the definition has it from.
    fn look(self, at: &'static Definition, name: &str) -> Option<Found> {
        let own = at.body.members().iter().find(|member| member.name == name);
        if let Some(member) = own {
            return Some(Found { member, owner: at });
        }
        let (base, branches): (_, &[_]) = match &at.body {
            Body::Command(Command { data, .. }) | Body::Event(Event { data, .. }) => (data, &[]),
            Body::Struct(Object { base, .. }) => (base, &[]),
            Body::Union(Union { base, branches, .. }) => (base, branches),
            Body::Alternate(alternate) => (&None, &alternate.branches),
            Body::Enum(_) => (&None, &[]),
        };
        let branches = branches.iter().map(|branch| branch.kind.name());
        let mut others = base.as_deref().into_iter().chain(branches);
        others.find_map(|other| self.look(self.schema().find(other)?, name))
    }
}

/// A member, and the definition that it stands in.
struct Found {
    member: &'static Member,
    owner: &'static Definition,
}

impl Found {
    fn doc(&self) -> String {
        let doc = self.owner.doc.as_ref();
        doc.and_then(|doc| doc.member(&self.member.name))
            .map_or(String::new(), sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_name_has_a_meaning() {
        let docs = Docs::Monitor;
        for (text, expected) in [
            (docs.summary("query-status"), "state of the machine"),
            (docs.member("qom-get", "path"), "path"),
            // From a base, a branch, a list, and an event.
            (docs.member("blockdev-add", "node-name"), "name"),
            (docs.member("blockdev-add", "backing"), "image behind"),
            (docs.member("transaction", "actions.0.type"), "kind"),
            (docs.member("DEVICE_DELETED", "path"), "object tree"),
            (docs.returned("query-status", "running"), "CPUs execute"),
            (docs.value("dump-guest-memory", "format", "elf"), "ELF"),
            (Docs::Agent.summary("guest-ping"), "agent"),
        ] {
            assert!(text.contains(expected), "{expected}: {text:?}");
        }
    }

    #[test]
    fn what_is_unknown_has_none() {
        let docs = Docs::Monitor;
        assert_eq!(docs.summary("nonsense"), "");
        assert_eq!(docs.member("qom-get", "path.more"), "");
        assert_eq!(docs.returned("nonsense", "x"), "");
        assert_eq!(docs.value("qom-get", "path", "x"), "");
    }
}
