//! `qapi check|introspect|rust|docs SCHEMA.json [OPTION]…`

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tinamou_qapi::Schema;
use tinamou_qmp::json::Style;

const USAGE: &str = "\
usage: qapi ACTION SCHEMA.json [--all | --define SYMBOL...]
                              [--traits | --client] [-o DIR]

actions:
  check       read the schema and everything it includes; say what is wrong
  introspect  what query-qmp-schema returns, as JSON
  rust        the sources of a server's crate: types, commands, events,
              introspection
  docs        a reference in Markdown, one page per schema file

--define SYMBOL  what the schema's 'if' conditions find defined
SCHEMA.json is a schema in QEMU's schema language, or the array that a server
returns from query-qmp-schema.

--all            no condition is asked: everything is part of the schema
--traits         with rust: also handlers.rs, a trait for each schema file
--client         with rust: a whole crate for clients instead, Cargo.toml
                 included
-o DIR           where files are written; without it, to standard output";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let Some(request) = Request::parse(std::env::args_os().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match request.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Request {
    action: Action,
    schema: PathBuf,
    defined: HashSet<String>,
    all: bool,
    traits: bool,
    client: bool,
    directory: Option<PathBuf>,
}

enum Action {
    Check,
    Introspect,
    Rust,
    Docs,
}

impl Request {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let action = match arguments.next()?.to_str()? {
            "check" => Action::Check,
            "introspect" => Action::Introspect,
            "rust" => Action::Rust,
            "docs" => Action::Docs,
            _ => return None,
        };
        let (mut schema, mut directory) = (None, None);
        let (mut all, mut traits, mut client) = (false, false, false);
        let mut defined = HashSet::new();
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--define") => {
                    defined.insert(arguments.next()?.into_string().ok()?);
                }
                Some("--all") => all = true,
                Some("--traits") => traits = true,
                Some("--client") => client = true,
                Some("-o") => directory = Some(arguments.next()?.into()),
                Some(option) if option.starts_with('-') => return None,
                _ if schema.is_none() => schema = Some(argument.into()),
                _ => return None,
            }
        }
        Some(Self {
            action,
            schema: schema?,
            defined,
            all,
            traits,
            client,
            directory,
        })
    }

    fn run(&self) -> Result<(), Failure> {
        let mut schema = self.read()?;
        if self.all {
            schema = schema.unconditional();
        }
        match self.action {
            Action::Check => Ok(()),
            Action::Introspect => {
                self.write(vec![("schema.json".into(), self.introspect(&schema)?)])
            }
            Action::Rust if self.client => self.write(self.client(&schema)?),
            Action::Rust => self.write(self.rust(&schema)?),
            Action::Docs => self.write(tinamou_qapi::docs(&schema, &self.defined)),
        }
    }

    /// A schema in its own language never begins with a bracket.
    fn read(&self) -> Result<Schema, Failure> {
        let text = fs::read(&self.schema);
        match text.map(|text| text.trim_ascii_start().to_vec()) {
            Ok(text) if text.starts_with(b"[") => {
                let introspection = tinamou_qmp::json::parse(&text)?;
                Ok(tinamou_qapi::recover(&introspection, None)?)
            }
            _ => Ok(tinamou_qapi::compile(&self.schema)?),
        }
    }

    fn rust(&self, schema: &Schema) -> Result<Vec<(String, String)>, Failure> {
        let mut files = tinamou_qapi::rust(schema, &self.defined);
        if self.traits {
            if let Some((_, root)) = files.iter_mut().find(|(name, _)| name == "lib.rs") {
                root.push_str("\npub mod handlers;\n");
            }
            let traits = tinamou_qapi::traits(schema, &self.defined);
            files.push(("handlers.rs".into(), traits));
        }
        for (_, text) in &mut files {
            *text = tinamou_qapi::format(text)?;
        }
        Ok(files)
    }

    fn client(&self, schema: &Schema) -> Result<Vec<(String, String)>, Failure> {
        let directory = self.directory.as_deref().and_then(Path::file_name);
        let name = directory.and_then(|name| name.to_str());
        Ok(tinamou_qapi::client_crate(
            schema,
            &self.defined,
            name.unwrap_or("bindings"),
        )?)
    }

    fn introspect(&self, schema: &Schema) -> Result<String, Failure> {
        let value = tinamou_qapi::describe(schema, &self.defined).introspect(|_| true);
        let text = String::from_utf8(tinamou_qmp::json::to_vec(&value, Style::Pretty)?)?;
        Ok(text + "\n")
    }

    /// Writes files into the directory, or one after the other to standard
    /// output.
    fn write(&self, files: Vec<(String, String)>) -> Result<(), Failure> {
        let Some(directory) = &self.directory else {
            let mut out = std::io::stdout().lock();
            for (_, text) in files {
                out.write_all(text.as_bytes())?;
            }
            return Ok(());
        };
        for (name, text) in files {
            let path = directory.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| failure(parent, &error))?;
            }
            fs::write(&path, text).map_err(|error| failure(&path, &error))?;
        }
        Ok(())
    }
}

fn failure(path: &Path, error: &std::io::Error) -> Failure {
    format!("can't write '{}': {error}", path.display()).into()
}
