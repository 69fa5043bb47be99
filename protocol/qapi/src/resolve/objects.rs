//! Objects: what they inherit, what their branches add, and that no two
//! members share a name.
//!
//! All walks keep their own stack, so that a long chain of types is no risk.

use std::collections::{HashMap, HashSet};

use super::Checker;
use crate::error::Result;
use crate::model::{Body, Branch, Definition, Member, TypeRef, Union};
use crate::names::mangle;
use crate::source::Position;

/// A member and the definition it is written in.
type Owned<'a> = (&'a Member, &'a Definition);

impl<'a> Checker<'a> {
    /// Checks the members of a struct, or those written in a command or event.
    pub(super) fn object(&self, definition: &'a Definition, position: &Position) -> Result<()> {
        if let Body::Struct(object) = &definition.body {
            self.base(definition, object.base.as_deref(), position)?;
        }
        self.own_members(definition, position)?;
        check_clashes(
            definition,
            &mut HashMap::new(),
            self.fixed(definition),
            position,
        )
    }

    pub(super) fn union(
        &self,
        definition: &'a Definition,
        union: &'a Union,
        position: &Position,
    ) -> Result<()> {
        self.base(definition, union.base.as_deref(), position)?;
        self.own_members(definition, position)?;
        let values = self.discriminator(definition, union, position)?;
        if values.is_empty() {
            return position.fail("union has no branches");
        }
        let mut names = HashMap::new();
        check_clashes(definition, &mut names, self.fixed(definition), position)?;
        for branch in &union.branches {
            self.branch(branch, position)?;
            // Branches never meet, so each is held against the rest alone.
            for member in self.reachable(branch.kind.name(), definition, position)? {
                check_clash(definition, &names, &member, position)?;
            }
        }
        Ok(())
    }

    /// The members that every object of a type has: those of bases first.
    pub(super) fn fixed(&self, definition: &'a Definition) -> Vec<Owned<'a>> {
        let mut chain = vec![definition];
        let mut seen = HashSet::from([definition.name.as_str()]);
        let mut at = definition;
        while let Body::Struct(crate::model::Object {
            base: Some(base), ..
        })
        | Body::Union(Union {
            base: Some(base), ..
        }) = &at.body
            && let Some(found) = self.find(base)
            && seen.insert(base)
        {
            chain.push(found);
            at = found;
        }
        let members = |owner: &'a Definition| owner.body.members().iter().map(move |m| (m, owner));
        chain.into_iter().rev().flat_map(members).collect()
    }

    /// The members that objects of a type may have, in whatever branch; `root`
    /// must not be among the types that are passed.
    fn reachable(
        &self,
        name: &str,
        root: &Definition,
        position: &Position,
    ) -> Result<Vec<Owned<'a>>> {
        let mut members = Vec::new();
        let mut stack: Vec<&'a Definition> = self.find(name).into_iter().collect();
        let mut seen = HashSet::new();
        while let Some(definition) = stack.pop() {
            if definition.name == root.name {
                return position.fail(format!("object {} contains itself", root.name));
            }
            if !seen.insert(&definition.name) {
                continue;
            }
            members.extend(self.fixed(definition));
            if let Body::Union(union) = &definition.body {
                let branches = union.branches.iter().rev();
                stack.extend(branches.filter_map(|branch| self.find(branch.kind.name())));
            }
        }
        Ok(members)
    }

    fn base(
        &self,
        definition: &Definition,
        base: Option<&'a str>,
        position: &Position,
    ) -> Result<()> {
        let Some(base) = base else {
            return Ok(());
        };
        if !self.exists(base) {
            return position.fail(format!("'base' uses unknown type '{base}'"));
        }
        let mut at = self.find(base);
        if !matches!(at.map(|found| &found.body), Some(Body::Struct(_))) {
            let shown = self.describe(base);
            return position.fail(format!("'base' requires a struct type, {shown} isn't"));
        }
        let mut seen = HashSet::from([definition.name.as_str()]);
        while let Some(found) = at {
            if !seen.insert(&found.name) {
                return position.fail(format!("object {} contains itself", found.name));
            }
            at = match &found.body {
                Body::Struct(object) => object.base.as_deref().and_then(|base| self.find(base)),
                _ => None,
            };
        }
        Ok(())
    }

    fn own_members(&self, definition: &Definition, position: &Position) -> Result<()> {
        let role = role(definition);
        for member in definition.body.members() {
            self.check_type(&member.kind, &format!("{role} '{}'", member.name), position)?;
        }
        Ok(())
    }

    /// Checks the discriminator; the names of its values.
    fn discriminator(
        &self,
        definition: &'a Definition,
        union: &Union,
        position: &Position,
    ) -> Result<HashSet<&'a str>> {
        let base = match &union.base {
            Some(base) => format!("base type '{base}'"),
            None => "'base'".into(),
        };
        let name = &union.discriminator;
        let fixed = self.fixed(definition);
        let Some((member, _)) = fixed.iter().find(|(member, _)| member.name == *name) else {
            return position.fail(format!("discriminator '{name}' is not a member of {base}"));
        };
        let what = format!("discriminator member '{name}' of {base}");
        let TypeRef::Name(kind) = &member.kind else {
            return position.fail(format!("{what} must be of enum type"));
        };
        let Some(Body::Enum(body)) = self.find(kind).map(|found| &found.body) else {
            return position.fail(format!("{what} must be of enum type"));
        };
        if member.optional {
            return position.fail(format!("{what} must not be optional"));
        }
        if !member.condition.is_always() {
            return position.fail(format!("{what} must not be conditional"));
        }
        let values: HashSet<&str> = body
            .values
            .iter()
            .map(|value| value.name.as_str())
            .collect();
        let strange = |branch: &&Branch| !values.contains(branch.name.as_str());
        match union.branches.iter().find(strange) {
            Some(branch) => position.fail(format!(
                "branch '{}' is not a value of enum type '{kind}'",
                branch.name
            )),
            None => Ok(values),
        }
    }

    fn branch(&self, branch: &Branch, position: &Position) -> Result<()> {
        let what = format!("branch '{}'", branch.name);
        self.check_type(&branch.kind, &what, position)?;
        match self.find(branch.kind.name()).map(|found| &found.body) {
            Some(Body::Struct(_) | Body::Union(_)) => Ok(()),
            _ => {
                let shown = self.describe(branch.kind.name());
                position.fail(format!("{what} cannot use {shown}"))
            }
        }
    }
}

fn check_clashes<'a>(
    definition: &Definition,
    names: &mut HashMap<String, Owned<'a>>,
    members: Vec<Owned<'a>>,
    position: &Position,
) -> Result<()> {
    for member in members {
        check_clash(definition, names, &member, position)?;
        names.insert(mangle(&member.0.name), member);
    }
    Ok(())
}

fn check_clash(
    definition: &Definition,
    names: &HashMap<String, Owned<'_>>,
    member: &Owned<'_>,
    position: &Position,
) -> Result<()> {
    let shown = |(member, owner): &Owned<'_>| {
        let (role, name) = (role(owner), &member.name);
        match owner.name == definition.name {
            true => format!("{role} '{name}'"),
            false => format!("{role} '{name}' of type '{}'", owner.name),
        }
    };
    match names.get(&mangle(&member.0.name)) {
        Some(other) => position.fail(format!("{} collides with {}", shown(member), shown(other))),
        None => Ok(()),
    }
}

/// What members written in a definition are called.
fn role(definition: &Definition) -> &'static str {
    match definition.body {
        Body::Command(_) | Body::Event(_) => "parameter",
        Body::Union(_) => "base member",
        _ => "member",
    }
}
