//! Pragmas: what a schema lets itself off.

use crate::error::Result;
use crate::expression::Expression;

/// The pragmas in force for a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pragmas {
    /// Every definition must be documented.
    pub(crate) doc_required: bool,
    /// Commands whose names may have `_`.
    pub(crate) command_names: Vec<String>,
    /// Commands that may return something else than an object.
    pub(crate) command_returns: Vec<String>,
    /// Definitions whose members need no documentation.
    pub(crate) documentation: Vec<String>,
    /// Types whose members' names may have `_` and upper case.
    pub(crate) member_names: Vec<String>,
}

impl Pragmas {
    /// Adds the pragmas of one directive.
    pub(crate) fn apply(&mut self, directive: &Expression) -> Result<()> {
        let Some(pragmas) = directive.as_object() else {
            return directive.fail("value of 'pragma' must be an object");
        };
        for (name, value) in pragmas {
            let list = match name.as_str() {
                "doc-required" => {
                    self.doc_required = match value.as_bool() {
                        Some(required) => required,
                        None => return value.fail("pragma 'doc-required' must be boolean"),
                    };
                    continue;
                }
                "command-name-exceptions" => &mut self.command_names,
                "command-returns-exceptions" => &mut self.command_returns,
                "documentation-exceptions" => &mut self.documentation,
                "member-name-exceptions" => &mut self.member_names,
                _ => return value.fail(format!("unknown pragma '{name}'")),
            };
            let names = value.as_array().and_then(|names| {
                names
                    .iter()
                    .map(|name| name.as_str().map(str::to_owned))
                    .collect::<Option<Vec<_>>>()
            });
            match names {
                Some(names) => list.extend(names),
                None => return value.fail(format!("pragma {name} must be a list of strings")),
            }
        }
        Ok(())
    }
}
