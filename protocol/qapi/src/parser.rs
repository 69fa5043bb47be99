//! Tokens to top-level expressions, with includes followed, pragmas applied,
//! and each definition joined to its documentation.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::expression::{Expression, Value};
use crate::lexer::{Lexer, Token};
use crate::pragma::Pragmas;
use crate::source::{Position, Source};

/// Expressions deeper than this are refused; real schemas need five levels.
const DEEPEST: usize = 64;

/// Includes within includes beyond this are refused.
const MOST_OPEN_FILES: usize = 64;

/// Supplies the text of a file.
pub(crate) type Load<'a> = dyn Fn(&Path) -> io::Result<String> + 'a;

/// A definition as it was written.
#[derive(Debug)]
pub(crate) struct Item {
    /// `struct`, `command` and so on.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) expression: Expression,
    pub(crate) doc: Option<Doc>,
    pub(crate) pragmas: Arc<Pragmas>,
}

/// One file of the schema.
#[derive(Debug)]
pub(crate) struct ParsedModule {
    pub(crate) name: String,
    /// What it includes and defines, in the order written.
    pub(crate) entries: Vec<Entry>,
}

/// A top-level thing of a file.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Free-form documentation.
    Text(Doc),
    /// The index of a module included here for the first time.
    Include(usize),
    Item(Box<Item>),
}

/// Everything read: modules by index, the main one first.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) modules: Vec<ParsedModule>,
}

const KINDS: &[&str] = &["enum", "struct", "union", "alternate", "command", "event"];

/// Reads a schema and everything it includes.
pub(crate) fn parse(path: &Path, load: &Load<'_>) -> Result<Parsed> {
    let source = Source::read(path, load).map_err(|error| Error {
        file: path.to_owned(),
        at: None,
        line: String::new(),
        context: String::new(),
        message: format!(
            "can't read schema file '{}': {}",
            path.display(),
            describe(&error)
        ),
    })?;
    let mut reader = Reader {
        load,
        root: path.to_owned(),
        seen: Vec::new(),
        modules: Vec::new(),
        pragmas: Arc::default(),
    };
    reader.file(source, path, &mut Vec::new())?;
    Ok(Parsed {
        modules: reader.modules,
    })
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "No such file or directory".into(),
        _ => error.to_string(),
    }
}

struct Reader<'a> {
    load: &'a Load<'a>,
    root: PathBuf,
    /// Plain paths of all files begun, in the order of `modules`.
    seen: Vec<PathBuf>,
    modules: Vec<ParsedModule>,
    /// Those of a file hold for what it includes from there on, and back.
    pragmas: Arc<Pragmas>,
}

impl Reader<'_> {
    /// Reads one file; `open` are the files that include it. Returns its index.
    fn file(&mut self, source: Arc<Source>, path: &Path, open: &mut Vec<PathBuf>) -> Result<usize> {
        let index = self.modules.len();
        let plain = plain(path);
        self.seen.push(plain.clone());
        self.modules.push(ParsedModule {
            name: self.module_name(path),
            entries: Vec::new(),
        });
        open.push(plain);
        let mut file = FileParser::new(source)?;
        let mut text: Option<Position> = None;
        while let Some(top) = file.top()? {
            match top {
                Top::Text(doc) => {
                    text = Some(doc.position.clone());
                    self.modules[index].entries.push(Entry::Text(doc));
                }
                Top::Expression(expression, doc) => {
                    // Text right before a definition was meant to describe it.
                    let directive = ["include", "pragma"]
                        .iter()
                        .any(|key| expression.member(key).is_some());
                    if let Some(position) = text.take()
                        && doc.is_none()
                        && !directive
                    {
                        return position.fail("definition documentation required");
                    }
                    self.top_level(index, expression, doc, path, open)?;
                }
            }
        }
        open.pop();
        Ok(index)
    }

    fn top_level(
        &mut self,
        index: usize,
        expression: Expression,
        doc: Option<Doc>,
        path: &Path,
        open: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let Some(members) = expression.as_object() else {
            return expression.fail("top-level expression must be an object");
        };
        for directive in ["include", "pragma"] {
            if let Some(value) = expression.member(directive) {
                if members.len() != 1 {
                    return expression.fail(format!("invalid '{directive}' directive"));
                }
                if let Some(doc) = doc {
                    return doc.position.fail(format!(
                        "documentation for '{}' is not followed by the definition",
                        doc.symbol
                    ));
                }
                if directive == "pragma" {
                    return Arc::make_mut(&mut self.pragmas).apply(value);
                }
                return self.include(index, value, path, open);
            }
        }
        let item = item(expression, doc, &self.pragmas)?;
        self.modules[index]
            .entries
            .push(Entry::Item(Box::new(item)));
        Ok(())
    }

    fn include(
        &mut self,
        index: usize,
        value: &Expression,
        path: &Path,
        open: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let Some(name) = value.as_str() else {
            return value.fail("value of 'include' must be a string");
        };
        let wanted = path.with_file_name("").join(name);
        let plain = plain(&wanted);
        if open.contains(&plain) {
            return value.fail(format!("inclusion loop for {name}"));
        }
        if self.seen.contains(&plain) {
            return Ok(());
        }
        if open.len() >= MOST_OPEN_FILES {
            return value.fail("included too deeply");
        }
        let source = Source::read(&wanted, self.load).map_err(|error| {
            value.position.error(format!(
                "can't read include file '{name}': {}",
                describe(&error)
            ))
        })?;
        let included = self.file(source, &wanted, open)?;
        self.modules[index].entries.push(Entry::Include(included));
        Ok(())
    }

    /// The path relative to the main file's directory, without extension.
    fn module_name(&self, path: &Path) -> String {
        let directory = self.root.parent().unwrap_or(Path::new(""));
        let relative = path.strip_prefix(directory).unwrap_or(path);
        relative.with_extension("").to_string_lossy().into_owned()
    }
}

/// A path without `.` and `..`, to know a file again.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Finds out what an expression defines.
fn item(expression: Expression, doc: Option<Doc>, pragmas: &Arc<Pragmas>) -> Result<Item> {
    let mut found = KINDS
        .iter()
        .filter_map(|kind| Some((*kind, expression.member(kind)?)));
    let (Some((kind, value)), None) = (found.next(), found.next()) else {
        let kinds: Vec<String> = KINDS.iter().map(|kind| format!("'{kind}'")).collect();
        return expression.fail(format!(
            "expression must have exactly one key {}",
            kinds.join(", ")
        ));
    };
    let Some(name) = value.as_str().map(str::to_owned) else {
        return value.fail(format!("'{kind}' requires a string name"));
    };
    if let Some(doc) = &doc
        && doc.symbol != name
    {
        return doc
            .position
            .fail(format!("documentation comment is for '{}'", doc.symbol));
    }
    if doc.is_none() && pragmas.doc_required {
        return expression.fail("documentation comment required");
    }
    Ok(Item {
        kind,
        name,
        expression,
        doc,
        pragmas: Arc::clone(pragmas),
    })
}

enum Top {
    Text(Doc),
    Expression(Expression, Option<Doc>),
}

struct FileParser {
    lexer: Lexer,
    token: Token,
    position: Position,
}

impl FileParser {
    fn new(source: Arc<Source>) -> Result<Self> {
        let mut lexer = Lexer::new(source);
        let (token, position) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            position,
        })
    }

    fn advance(&mut self) -> Result<Token> {
        let (token, position) = self.lexer.next()?;
        self.position = position;
        Ok(std::mem::replace(&mut self.token, token))
    }

    /// The next top-level thing: text, or an expression with its documentation.
    fn top(&mut self) -> Result<Option<Top>> {
        let doc = match &self.token {
            Token::End => return Ok(None),
            Token::Doc(_) => {
                let position = self.position.clone();
                let Token::Doc(lines) = self.advance()? else {
                    return Ok(None);
                };
                let doc = Doc::parse(&lines, position, &self.lexer)?;
                if doc.symbol.is_empty() {
                    return Ok(Some(Top::Text(doc)));
                }
                Some(doc)
            }
            _ => None,
        };
        if let Some(doc) = &doc
            && matches!(self.token, Token::Doc(_) | Token::End)
        {
            return doc.position.fail(format!(
                "documentation for '{}' is not followed by the definition",
                doc.symbol
            ));
        }
        let expression = self.expression(0)?;
        Ok(Some(Top::Expression(expression, doc)))
    }

    fn expression(&mut self, depth: usize) -> Result<Expression> {
        let position = self.position.clone();
        if depth > DEEPEST {
            return position.fail("expression is nested too deeply");
        }
        let value = match &self.token {
            Token::Mark('{') => self.object(depth)?,
            Token::Mark('[') => self.array(depth)?,
            Token::String(_) | Token::Bool(_) => match self.advance()? {
                Token::String(text) => Value::String(text),
                token => Value::Bool(token == Token::Bool(true)),
            },
            _ => return position.fail("expected '{', '[', string, or boolean"),
        };
        Ok(Expression { value, position })
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.advance()?;
        let mut members: Vec<(String, Expression)> = Vec::new();
        if self.token == Token::Mark('}') {
            self.advance()?;
            return Ok(Value::Object(members));
        }
        loop {
            let position = self.position.clone();
            let Token::String(_) = self.token else {
                let or = if members.is_empty() { " or '}'" } else { "" };
                return position.fail(format!("expected string{or}"));
            };
            let Token::String(key) = self.advance()? else {
                break;
            };
            if self.token != Token::Mark(':') {
                return self.position.fail("expected ':'");
            }
            self.advance()?;
            if members.iter().any(|(name, _)| *name == key) {
                return position.fail(format!("duplicate key '{key}'"));
            }
            members.push((key, self.expression(depth + 1)?));
            match self.token {
                Token::Mark('}') => break,
                Token::Mark(',') => self.advance()?,
                _ => return self.position.fail("expected ',' or '}'"),
            };
        }
        self.advance()?;
        Ok(Value::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Value> {
        self.advance()?;
        let mut elements = Vec::new();
        if self.token == Token::Mark(']') {
            self.advance()?;
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.expression(depth + 1)?);
            match self.token {
                Token::Mark(']') => break,
                Token::Mark(',') => self.advance()?,
                _ => return self.position.fail("expected ',' or ']'"),
            };
        }
        self.advance()?;
        Ok(Value::Array(elements))
    }
}
