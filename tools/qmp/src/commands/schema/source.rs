//! Where schemas come from.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use tinamou_client::Address;
use tinamou_mock::Schema as Checker;
use tinamou_qapi::Schema;
use tinamou_qmp::{Value, json};

use crate::{Error, Global, connect, known};

/// A place to get a schema from, as it was typed.
#[derive(Clone, Debug)]
pub(super) struct Source(String);

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// An interface: what a server tells, and what is known of it beyond that.
pub(super) struct Interface {
    pub(super) schema: Schema,
    pub(super) introspection: Value,
}

impl Source {
    pub(super) async fn load(&self, global: &Global) -> Result<Interface, Error> {
        match self.0.as_str() {
            "builtin:qmp" => Ok(described(known::monitor())),
            "builtin:agent" => Ok(described(known::agent())),
            path if Path::new(path).is_file() => file(path),
            address => server(address, global).await,
        }
    }
}

async fn server(address: &str, global: &Global) -> Result<Interface, Error> {
    let address: Address = address
        .parse()
        .map_err(|error| Error::usage(format!("{address}: {error}")))?;
    let client = connect::connect(&address, global).await?;
    let request = client.request("query-qmp-schema", serde_json::json!({}));
    let text = connect::within(request, global).raw().await?;
    introspected(address.to_string().as_str(), text.get())
}

fn file(path: &str) -> Result<Interface, Error> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    if !is_source(&text) {
        let checker = Checker::from_text(&text);
        let checker = checker.map_err(|error| fault(path, &error))?;
        return recovered(checker.introspection().clone(), known::monitor())
            .map_err(|error| fault(path, &error));
    }
    let schema = tinamou_qapi::compile(Path::new(path));
    let schema = schema.map_err(|error| Error::usage(error.to_string()))?;
    Ok(described(&schema.unconditional()))
}

/// The schema language has comments and single quotes, JSON has neither.
fn is_source(text: &str) -> bool {
    let start = text.trim_start();
    let quote = start.trim_start_matches(|c: char| c == '{' || c.is_whitespace());
    start.starts_with('#') || quote.starts_with('\'')
}

fn introspected(name: &str, text: &str) -> Result<Interface, Error> {
    let value = json::parse(text.as_bytes()).map_err(|error| fault(name, &error))?;
    recovered(value, known::monitor()).map_err(|error| fault(name, &error))
}

/// All schemas go through introspection, so that they can be compared.
fn described(schema: &Schema) -> Interface {
    let described = tinamou_qapi::describe(schema, &HashSet::new());
    recovered(described.introspect(|_| true), schema).expect("our own introspection is sound")
}

fn recovered(introspection: Value, known: &Schema) -> tinamou_qapi::Result<Interface> {
    Ok(Interface {
        schema: tinamou_qapi::recover(&introspection, Some(known))?,
        introspection,
    })
}

fn fault(name: &str, error: &dyn std::error::Error) -> Error {
    Error::usage(format!("{name}: {error}"))
}
