//! Documentation and definition agree.

use super::Checker;
use crate::doc::{Section, SectionKind};
use crate::error::Result;
use crate::expression::quoted;
use crate::model::{Body, Definition};
use crate::parser::Item;

impl Checker<'_> {
    /// Checks that documentation and definition agree.
    pub(super) fn documentation(&self, definition: &Definition, item: &Item) -> Result<()> {
        let Some(doc) = &item.doc else {
            return Ok(());
        };
        let names = documentable(&definition.body);
        let unknown: Vec<&str> = doc
            .members()
            .filter(|member| !names.contains(member))
            .collect();
        if !unknown.is_empty() {
            return doc.position.fail(plural(
                "documented member",
                &unknown,
                "does not exist",
                "do not exist",
            ));
        }
        let required =
            item.pragmas.doc_required && !item.pragmas.documentation.contains(&definition.name);
        let silent: Vec<&str> = names
            .into_iter()
            .filter(|name| doc.member(name).is_none())
            .collect();
        if required && !silent.is_empty() {
            return item.expression.fail(plural(
                "member",
                &silent,
                "lacks documentation",
                "lack documentation",
            ));
        }
        self.feature_documentation(definition, item)?;
        let returns = doc
            .sections
            .iter()
            .find(|section| section.kind == SectionKind::Returns);
        let errors = doc
            .sections
            .iter()
            .find(|section| section.kind == SectionKind::Errors);
        let misplaced =
            |section: &Section, message: &str| doc.section_position(section).fail(message);
        match (&definition.body, returns, errors) {
            (Body::Command(command), Some(section), _) if command.returns.is_none() => misplaced(
                section,
                "'Returns' section, but command doesn't return anything",
            ),
            (Body::Command(_), ..) | (_, None, None) => Ok(()),
            (_, Some(section), _) => {
                misplaced(section, "'Returns' section is only valid for commands")
            }
            (_, None, Some(section)) => {
                misplaced(section, "'Errors' section is only valid for commands")
            }
        }
    }

    fn feature_documentation(&self, definition: &Definition, item: &Item) -> Result<()> {
        let Some(doc) = &item.doc else {
            return Ok(());
        };
        let features: Vec<&str> = definition
            .all_features()
            .map(|feature| feature.name.as_str())
            .collect();
        let unknown: Vec<&str> = doc
            .features()
            .filter(|name| !features.contains(name))
            .collect();
        if !unknown.is_empty() {
            return doc.position.fail(plural(
                "documented feature",
                &unknown,
                "does not exist",
                "do not exist",
            ));
        }
        match features
            .iter()
            .find(|name| !doc.features().any(|documented| documented == **name))
        {
            Some(name) => item
                .expression
                .fail(format!("feature '{name}' lacks documentation")),
            None => Ok(()),
        }
    }
}

/// The names that documentation may describe.
fn documentable(body: &Body) -> Vec<&str> {
    match body {
        Body::Enum(body) => body
            .values
            .iter()
            .map(|value| value.name.as_str())
            .collect(),
        Body::Alternate(body) => body.branches.iter().map(|b| b.name.as_str()).collect(),
        _ => body
            .members()
            .iter()
            .map(|member| member.name.as_str())
            .collect(),
    }
}

/// `member 'a' does not exist`, `members 'a', 'b' do not exist`
fn plural(what: &str, names: &[&str], one: &str, many: &str) -> String {
    let verb = if names.len() == 1 { one } else { many };
    format!("{} {verb}", quoted(what, names))
}
