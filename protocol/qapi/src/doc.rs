//! Documentation comments: sections, and the members they describe.

use crate::error::Result;
use crate::lexer::Lexer;
use crate::source::Position;

/// What a section is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Text of its own, before or between the others.
    Plain,
    /// A member or argument.
    Member(String),
    /// A feature.
    Feature(String),
    /// What a command returns.
    Returns,
    /// How a command fails.
    Errors,
    /// The version that brought it.
    Since,
    /// What remains to be done; not for readers.
    Todo,
}

/// A part of a documentation comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is about.
    pub kind: SectionKind,
    /// Its text, lines joined by newlines, indentation removed.
    pub text: String,
    line: usize,
}

/// A documentation comment.
#[derive(Clone, Debug)]
pub struct Doc {
    pub(crate) symbol: String,
    pub(crate) position: Position,
    /// Its parts in order.
    pub sections: Vec<Section>,
}

const TAGS: &[(&str, SectionKind)] = &[
    ("Returns:", SectionKind::Returns),
    ("Errors:", SectionKind::Errors),
    ("Since:", SectionKind::Since),
    (concat!("TO", "DO:"), SectionKind::Todo),
];

impl Doc {
    /// Parses the lines of a comment, each with its offset.
    pub(crate) fn parse(
        lines: &[(usize, String)],
        position: Position,
        lexer: &Lexer,
    ) -> Result<Self> {
        let mut parser = Parser {
            lines,
            at: 0,
            lexer,
        };
        let first = lines.iter().position(|(_, text)| !text.is_empty());
        let symbol = match first.map(|index| (index, lines[index].1.trim_start())) {
            Some((index, line)) if line.starts_with('@') => {
                parser.at = index + 1;
                parser.symbol(index, line)?
            }
            _ => String::new(),
        };
        let sections = match symbol.is_empty() {
            true => parser.free_form()?,
            false => parser.definition()?,
        };
        Ok(Self {
            symbol,
            position,
            sections,
        })
    }

    /// The text of the sections of a kind.
    pub fn text(&self, kind: &SectionKind) -> Option<&str> {
        self.sections
            .iter()
            .find(|section| section.kind == *kind)
            .map(|section| section.text.as_str())
    }

    /// The first sentence-bearing text: what the thing is.
    pub fn summary(&self) -> &str {
        self.text(&SectionKind::Plain).unwrap_or("")
    }

    /// The description of a member.
    pub fn member(&self, name: &str) -> Option<&str> {
        self.text(&SectionKind::Member(name.to_owned()))
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &str> {
        self.sections
            .iter()
            .filter_map(|section| match &section.kind {
                SectionKind::Member(name) => Some(name.as_str()),
                _ => None,
            })
    }

    pub(crate) fn features(&self) -> impl Iterator<Item = &str> {
        self.sections
            .iter()
            .filter_map(|section| match &section.kind {
                SectionKind::Feature(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// The place of a section.
    pub(crate) fn section_position(&self, section: &Section) -> Position {
        Position {
            offset: section.line,
            ..self.position.clone()
        }
    }
}

struct Parser<'a> {
    lines: &'a [(usize, String)],
    at: usize,
    lexer: &'a Lexer,
}

impl Parser<'_> {
    fn fail<T>(&self, index: usize, message: impl Into<String>) -> Result<T> {
        let offset = self.lines.get(index).map_or(0, |line| line.0);
        self.lexer.position(offset).fail(message)
    }

    fn symbol(&self, index: usize, line: &str) -> Result<String> {
        let Some(symbol) = line[1..].strip_suffix(':') else {
            return self.fail(index, "line should end with ':'");
        };
        match symbol.is_empty() {
            true => self.fail(index, "name required after '@'"),
            false => Ok(symbol.to_owned()),
        }
    }

    fn free_form(&mut self) -> Result<Vec<Section>> {
        let mut text = Vec::new();
        for (index, (_, line)) in self.lines.iter().enumerate() {
            let line = line.strip_prefix(' ').unwrap_or(line);
            if line.starts_with("= ") || line.starts_with("== ") {
                if index > 0 {
                    return self.fail(index, "'=' heading must come first in a comment block");
                }
            } else if let Some(tag) = argument_tag(line) {
                return self.fail(
                    index,
                    format!("'@{tag}:' not allowed in free-form documentation"),
                );
            }
            text.push(line);
        }
        let line = self.lines.first().map_or(0, |line| line.0);
        Ok(vec![Section {
            kind: SectionKind::Plain,
            text: join(&text),
            line,
        }])
    }

    fn definition(&mut self) -> Result<Vec<Section>> {
        let mut sections: Vec<Section> = Vec::new();
        let mut in_features = false;
        let mut had_tagged = false;
        while self.at < self.lines.len() {
            let index = self.at;
            let (offset, line) = &self.lines[index];
            let line = line.strip_prefix(' ').unwrap_or(line);
            if line.is_empty() {
                self.at += 1;
            } else if line == "Features:" {
                if in_features
                    || sections
                        .iter()
                        .any(|s| matches!(s.kind, SectionKind::Feature(_)))
                {
                    return self.fail(index, "duplicated 'Features:' line");
                }
                self.at += 1;
                in_features = true;
                self.expect_features()?;
            } else if let Some(name) = argument_tag(line) {
                let kind = self.argument(index, name, in_features, had_tagged, &sections)?;
                let text = self.indented(&line[name.len() + 2..])?;
                sections.push(Section {
                    kind,
                    text,
                    line: *offset,
                });
            } else if let Some((tag, kind)) = TAGS.iter().find(|(tag, _)| line.starts_with(tag)) {
                let text = self.tagged(index, tag, kind, line, &sections)?;
                sections.push(Section {
                    kind: kind.clone(),
                    text,
                    line: *offset,
                });
                in_features = false;
                had_tagged = true;
            } else if line.starts_with("= ") || line.starts_with("== ") {
                return self.fail(index, "unexpected '=' markup in definition documentation");
            } else {
                let text = self.plain();
                let had_members = sections.iter().any(|s| s.kind != SectionKind::Plain);
                sections.push(Section {
                    kind: SectionKind::Plain,
                    text,
                    line: *offset,
                });
                had_tagged |= had_members;
                in_features = false;
            }
        }
        Ok(sections)
    }

    fn expect_features(&self) -> Result<()> {
        let next = self.lines[self.at..]
            .iter()
            .map(|(_, line)| line.trim_start())
            .find(|line| !line.is_empty());
        match next {
            Some(line) if line.starts_with('@') => Ok(()),
            _ => self.fail(
                self.at.min(self.lines.len() - 1),
                "feature descriptions expected",
            ),
        }
    }

    fn argument(
        &self,
        index: usize,
        name: &str,
        in_features: bool,
        had_tagged: bool,
        sections: &[Section],
    ) -> Result<SectionKind> {
        if name.is_empty() {
            return self.fail(index, "invalid parameter name");
        }
        if had_tagged && !in_features {
            return self.fail(
                index,
                format!("description of '@{name}:' follows a section"),
            );
        }
        let kind = match in_features {
            true => SectionKind::Feature(name.to_owned()),
            false => SectionKind::Member(name.to_owned()),
        };
        if sections.iter().any(|section| section.kind == kind) {
            return self.fail(index, format!("'{name}' parameter name duplicated"));
        }
        Ok(kind)
    }

    fn tagged(
        &mut self,
        index: usize,
        tag: &str,
        kind: &SectionKind,
        line: &str,
        sections: &[Section],
    ) -> Result<String> {
        if *kind != SectionKind::Todo && sections.iter().any(|section| section.kind == *kind) {
            return self.fail(
                index,
                format!("duplicated '{}' section", tag.trim_end_matches(':')),
            );
        }
        let text = self.indented(&line[tag.len()..])?;
        if text.is_empty() {
            return self.fail(index, format!("text required after '{tag}'"));
        }
        Ok(text)
    }

    /// The rest of a line and the indented lines that follow it.
    fn indented(&mut self, first: &str) -> Result<String> {
        let mut text = vec![first.trim_start()];
        let mut indent = 0;
        self.at += 1;
        while let Some((_, line)) = self.lines.get(self.at) {
            let line = line.strip_prefix(' ').unwrap_or(line);
            let depth = line.len() - line.trim_start().len();
            let after_blank = text.len() > 1 && text.last().is_some_and(|line| line.is_empty());
            if !line.is_empty() && depth < indent.max(1) {
                // Less indentation ends the section, but only after a blank
                // line, so that a slip is not taken for the end.
                if indent == 0 || after_blank || argument_tag(line).is_some() {
                    break;
                }
                return self.fail(
                    self.at,
                    format!("unexpected de-indent (expected at least {indent} spaces)"),
                );
            }
            if indent == 0 {
                indent = depth;
            }
            text.push(line.get(indent..).unwrap_or(""));
            self.at += 1;
        }
        Ok(join(&text))
    }

    /// Unindented lines up to the next tag.
    fn plain(&mut self) -> String {
        let mut text = Vec::new();
        while let Some((_, line)) = self.lines.get(self.at) {
            let line = line.strip_prefix(' ').unwrap_or(line);
            let ends = line == "Features:"
                || line.starts_with("= ")
                || argument_tag(line).is_some()
                || TAGS.iter().any(|(tag, _)| line.starts_with(tag));
            if ends {
                break;
            }
            text.push(line);
            self.at += 1;
        }
        join(&text)
    }
}

/// The name of a line `@NAME: …`.
fn argument_tag(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('@')?.split_once(':')?;
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.*".contains(c))
        .then_some(name)
}

fn join(lines: &[&str]) -> String {
    lines.join("\n").trim().to_owned()
}
