//! `qmp qom`: the object tree, listed, read, written, walked, and mounted.

#[cfg(target_os = "linux")]
mod fuse;
mod object;
mod property;
mod tree;

use clap::{Args, Subcommand};
use serde_json::json;
use tinamou_client::qmp::{QomGet, QomList, QomSet};
use tinamou_client::{Address, Client};

use crate::{Error, Exit, Global, Output, connect};
use object::Kind;
use property::Property;

const GET_EXAMPLES: &str = "\
Examples:
  qmp qom get vm.sock /machine.type
  qmp qom get vm.sock /machine/unattached/device[0] realized";

const SET_EXAMPLES: &str = "\
VALUE is read as the property's type says: `512M` and `0x10` are numbers and
`on` is a boolean where one is expected. Of a type that is not known, it is
JSON if it is JSON, else a string.

Examples:
  qmp qom set vm.sock /machine/peripheral/balloon0.guest-stats-polling-interval 2
  qmp qom set vm.sock /objects/throttle0 limits '{\"iops-total\": 100}'";

#[cfg(target_os = "linux")]
const FUSE_EXAMPLES: &str = "\
An object is a directory, a property a file that is read and written, a link a
symbolic link; one that leads nowhere points to `(unset)`. Writing sets the
property at once. It lasts until it is interrupted, unmounted, or the server
ends.

Examples:
  qmp qom fuse vm.sock /mnt &
  cat /mnt/machine/type
  echo 2 > /mnt/machine/peripheral/balloon0/guest-stats-polling-interval";

/// What `qmp qom` takes.
#[derive(Args, Debug)]
pub struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what an object has: `child/`, `@link/` and properties
    List(Place),
    /// Read a property
    #[command(after_help = GET_EXAMPLES)]
    Get(Get),
    /// Write a property
    #[command(after_help = SET_EXAMPLES)]
    Set(Set),
    /// Show an object and all below it, with the values of their properties
    Tree(Place),
    /// Mount the object tree as a file system
    #[cfg(target_os = "linux")]
    #[command(after_help = FUSE_EXAMPLES)]
    Fuse(fuse::Options),
}

#[derive(Args, Debug)]
struct Place {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    address: Address,
    /// The object: a path, or the end of one that no other ends in
    #[arg(value_name = "PATH", default_value = "/")]
    path: String,
}

#[derive(Args, Debug)]
struct Get {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    address: Address,
    /// The property: PATH.PROPERTY, or PATH PROPERTY
    #[arg(value_name = "PROPERTY", required = true, num_args = 1..=2)]
    property: Vec<String>,
}

#[derive(Args, Debug)]
struct Set {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    address: Address,
    /// The property, PATH.PROPERTY or PATH PROPERTY, and its value
    #[arg(
        value_names = ["PROPERTY", "VALUE"],
        required = true,
        num_args = 2..=3,
        allow_negative_numbers = true
    )]
    words: Vec<String>,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    match options.verb {
        Verb::List(place) => {
            let client = connect::connect(&place.address, global).await?;
            list(&client, place.path, output).await?;
        }
        Verb::Get(get) => {
            let property = Property::read(&get.property)?;
            let client = connect::connect(&get.address, global).await?;
            let value = client.call(QomGet::new(property.path, property.name));
            output.value(&value.await?)?;
        }
        Verb::Set(set) => {
            let (value, words) = set.words.split_last().expect("clap demands two words");
            let property = Property::read(words)?;
            let client = connect::connect(&set.address, global).await?;
            write(&client, property, value).await?;
            output.value(&json!({}))?;
        }
        Verb::Tree(place) => {
            let client = connect::connect(&place.address, global).await?;
            tree::print(&client, place.path, output).await?;
        }
        #[cfg(target_os = "linux")]
        Verb::Fuse(options) => return fuse::run(options, global, output).await,
    }
    Ok(Exit::Done)
}

async fn list(client: &Client, path: String, output: &Output) -> Result<(), Error> {
    let properties = client.call(QomList::new(path)).await?;
    if output.is_json() {
        return output.value(&json!(properties));
    }
    let rows = properties.iter().map(|property| {
        let name = match Kind::of(&property.r#type) {
            Kind::Child => format!("{}/", property.name),
            Kind::Link => format!("@{}/", property.name),
            Kind::Value => property.name.clone(),
        };
        vec![name, property.r#type.clone()]
    });
    output.columns(&rows.collect::<Vec<_>>())
}

async fn write(client: &Client, property: Property, text: &str) -> Result<(), Error> {
    let siblings = client.call(QomList::new(&property.path)).await;
    let siblings = siblings.unwrap_or_default();
    let itself = siblings
        .iter()
        .find(|sibling| sibling.name == property.name);
    let value = property::value(text, itself.map(|itself| itself.r#type.as_str()));
    let command = QomSet::new(property.path, property.name, value);
    client.call(command).await?;
    Ok(())
}
