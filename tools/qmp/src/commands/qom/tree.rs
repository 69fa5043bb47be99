//! `qmp qom tree`: an object and all below it.

use serde::Serialize;
use serde_json::{Value, json};
use tinamou_client::qmp::{ObjectPropertyInfo, QomGet, QomList};
use tinamou_client::{Client, Error as ClientError};

use super::object::{Kind, join, spoken};
use crate::{Error, Output};

/// No tree is deeper; a server whose objects never end is left alone.
const DEEPEST: usize = 100;

/// An object as it is shown.
#[derive(Serialize)]
struct Object {
    path: String,
    properties: Vec<Property>,
    children: Vec<String>,
}

#[derive(Serialize)]
struct Property {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Content {
    Value(Value),
    Error(String),
}

/// Prints the tree, an object at a time: it may change while it is walked, so
/// that an object which is gone when its turn comes is left out.
pub(super) async fn print(client: &Client, path: String, output: &Output) -> Result<(), Error> {
    let mut ahead = vec![(path, 0)];
    while let Some((path, depth)) = ahead.pop() {
        let properties = match client.call(QomList::new(&path)).await {
            Err(error) if depth > 0 && error.class() == Some("DeviceNotFound") => continue,
            properties => properties?,
        };
        let object = read(client, path, properties).await?;
        output.line(&match output.is_json() {
            true => json!(object).to_string(),
            false => text(&object, depth),
        })?;
        if depth == DEEPEST && !object.children.is_empty() {
            let reason = format!("{}: more than {DEEPEST} objects deep", object.path);
            return Err(ClientError::Protocol(reason).into());
        }
        let children = object.children.iter().rev();
        ahead.extend(children.map(|name| (join(&object.path, name), depth + 1)));
    }
    Ok(())
}

async fn read(
    client: &Client,
    path: String,
    listed: Vec<ObjectPropertyInfo>,
) -> Result<Object, Error> {
    let mut properties = Vec::new();
    let mut children = Vec::new();
    for property in listed {
        if Kind::of(&property.r#type) == Kind::Child {
            children.push(property.name);
            continue;
        }
        let content = match client.call(QomGet::new(&path, &property.name)).await {
            Ok(value) => Content::Value(value),
            Err(error @ ClientError::Command { .. }) => Content::Error(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        properties.push(Property {
            name: property.name,
            ty: property.r#type,
            content,
        });
    }
    Ok(Object {
        path,
        properties,
        children,
    })
}

fn text(object: &Object, depth: usize) -> String {
    let margin = "  ".repeat(depth);
    let mut text = format!("{margin}{}", object.path);
    for Property { name, ty, content } in &object.properties {
        let content = match content {
            Content::Value(value) => spoken(value),
            Content::Error(error) => format!("<{error}>"),
        };
        text.push_str(&format!("\n{margin}  {name}: {content} ({ty})"));
    }
    text
}
