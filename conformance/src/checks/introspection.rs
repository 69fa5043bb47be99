//! The schema that the server shows of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Finding, Outcome, finding, verdict};
use crate::schema::{Schema, Type};

const SECTION: &str = "QAPI: Client JSON Protocol introspection";

pub(super) const CHECKS: &[Row] = &[
    Row(
        "introspection/entries",
        SECTION,
        "Every entry has a name and a meta-type, and no name is there twice.",
        entries,
    ),
    Row(
        "introspection/shapes",
        SECTION,
        "Every entry has the members of its meta-type, and no others.",
        shapes,
    ),
    Row(
        "introspection/references",
        SECTION,
        "Every type that is referred to is defined.",
        references,
    ),
    Row(
        "introspection/reached",
        SECTION,
        "Every type is reached from a command or an event.",
        reached,
    ),
    Row(
        "introspection/arguments",
        SECTION,
        "The arguments of commands and the data of events are objects.",
        arguments,
    ),
    Row(
        "introspection/members",
        SECTION,
        "No object has a member twice, its variants included.",
        members,
    ),
    Row(
        "introspection/unions",
        SECTION,
        "A tag is a member and an enumeration; the variants are objects for values of it.",
        unions,
    ),
    Row(
        "introspection/alternates",
        SECTION,
        "The alternatives of an alternate have different JSON types.",
        alternates,
    ),
    Row(
        "introspection/enums",
        SECTION,
        "An enumeration has no value twice, and values and members agree.",
        enums,
    ),
    Row(
        "introspection/builtins",
        SECTION,
        "A builtin has one of the JSON types string, number, int, boolean, null, object, array, value.",
        builtins,
    ),
    Row(
        "introspection/query-commands",
        "practice",
        "query-commands lists the commands of the schema.",
        query_commands,
    ),
    Row(
        "introspection/itself",
        SECTION,
        "The schema fits the type that it gives to query-qmp-schema.",
        itself,
    ),
];

fn name(entry: &Value) -> &str {
    entry["name"].as_str().unwrap_or_default()
}

fn entries(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut names = BTreeSet::new();
    let mut findings = Vec::new();
    for entry in &schema.entries {
        if name(entry).is_empty() {
            findings.push(finding(entry.to_string(), "has no name"));
        } else if !names.insert(name(entry)) {
            findings.push(finding(name(entry), "is there twice"));
        }
        if shape(entry).is_none() {
            findings.push(finding(name(entry), "has an unknown meta-type"));
        }
    }
    verdict(findings, format!("{} entries", schema.entries.len()))
}

/// The members that an entry must have, and those that it may have.
fn shape(entry: &Value) -> Option<(&'static [&'static str], &'static [&'static str])> {
    Some(match entry["meta-type"].as_str()? {
        "builtin" => (&["json-type"], &[]),
        "enum" => (&["values"], &["members"]),
        "array" => (&["element-type"], &[]),
        "object" => (&["members"], &["tag", "variants"]),
        "alternate" => (&["members"], &[]),
        "command" => (&["arg-type", "ret-type"], &["allow-oob"]),
        "event" => (&["arg-type"], &[]),
        _ => return None,
    })
}

fn shapes(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut findings = Vec::new();
    for entry in &schema.entries {
        let Some((required, optional)) = shape(entry) else {
            continue;
        };
        for member in required {
            if entry.get(*member).is_none() {
                findings.push(finding(name(entry), format!("has no {member}")));
            }
        }
        let known = |member: &&String| {
            let always = ["name", "meta-type", "features"];
            let mut known = always.iter().chain(required).chain(optional);
            known.any(|known| known == member)
        };
        let members = entry.as_object().into_iter().flat_map(|entry| entry.keys());
        let others = members.filter(|member| !known(member));
        findings.extend(others.map(|other| finding(name(entry), format!("has {other}"))));
    }
    verdict(findings, "")
}

/// The names of types that an entry refers to.
fn referred(entry: &Value) -> Vec<&str> {
    let direct = ["arg-type", "ret-type", "element-type"];
    let direct = direct.iter().filter_map(|member| entry[*member].as_str());
    let lists = ["members", "variants"];
    let lists = lists.iter().filter_map(|member| entry[*member].as_array());
    let inner = lists.flatten().filter_map(|member| member["type"].as_str());
    direct.chain(inner).collect()
}

fn references(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut findings = Vec::new();
    let mut count = 0;
    for entry in &schema.entries {
        for ty in referred(entry) {
            count += 1;
            if schema.ty(ty).is_none() {
                findings.push(finding(
                    name(entry),
                    format!("refers to {ty}, which is no type"),
                ));
            }
        }
    }
    verdict(findings, format!("{count} references"))
}

fn reached(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let by_name: BTreeMap<&str, &Value> = schema
        .entries
        .iter()
        .map(|entry| (name(entry), entry))
        .collect();
    let is_type = |entry: &&Value| entry["meta-type"] != "command" && entry["meta-type"] != "event";
    let mut open: Vec<&Value> = schema
        .entries
        .iter()
        .filter(|entry| !is_type(entry))
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(entry) = open.pop() {
        for ty in referred(entry) {
            if seen.insert(ty) {
                open.extend(by_name.get(ty).copied());
            }
        }
    }
    let types = schema.entries.iter().filter(is_type);
    let lost = types.filter(|entry| !seen.contains(name(entry)));
    let findings = lost.map(|entry| finding(name(entry), "is reached from nowhere"));
    verdict(findings.collect(), format!("{} types", seen.len()))
}

fn arguments(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let with_arguments = schema
        .entries
        .iter()
        .filter(|entry| entry.get("arg-type").is_some());
    let findings = with_arguments.filter_map(|entry| {
        let ty = schema.ty(entry["arg-type"].as_str().unwrap_or_default());
        let right = matches!(ty, Some(Type::Object { .. }));
        (!right).then(|| finding(name(entry), "has arguments that are no object"))
    });
    verdict(findings.collect(), "")
}

/// The entries of one meta-type.
fn of_meta<'a>(schema: &'a Schema, meta: &str) -> impl Iterator<Item = &'a Value> {
    let entries = schema.entries.iter();
    entries.filter(move |entry| entry["meta-type"] == meta)
}

fn member_names(entry: &Value, list: &str, member: &str) -> Vec<String> {
    let members = entry[list].as_array().into_iter().flatten();
    members
        .map(|entry| entry[member].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A finding if a name is there twice.
fn twice(entry: &Value, names: &[String]) -> Option<Finding> {
    let mut seen = BTreeSet::new();
    let twice = names.iter().find(|name| !seen.insert(*name))?;
    Some(finding(name(entry), format!("has {twice} twice")))
}

fn members(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut findings = Vec::new();
    let mut objects = 0;
    for entry in of_meta(&schema, "object") {
        objects += 1;
        let own = member_names(entry, "members", "name");
        findings.extend(twice(entry, &own));
        for variant in member_names(entry, "variants", "type") {
            let of_variant = schema
                .members(&variant)
                .iter()
                .map(|member| member.name.clone());
            let all: Vec<String> = own.iter().cloned().chain(of_variant).collect();
            findings.extend(twice(entry, &all));
        }
    }
    verdict(findings, format!("{objects} objects"))
}

fn unions(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut findings = Vec::new();
    for entry in of_meta(&schema, "object") {
        let (tag, variants) = (entry.get("tag"), entry.get("variants"));
        if tag.is_some() != variants.is_some() {
            findings.push(finding(name(entry), "has one of tag and variants"));
        }
        if let Some(tag) = tag {
            findings
                .extend(union_fault(&schema, entry, tag).map(|what| finding(name(entry), what)));
        }
    }
    verdict(findings, "")
}

fn union_fault(schema: &Schema, entry: &Value, tag: &Value) -> Option<String> {
    let members = schema.members(name(entry));
    let Some(member) = members.iter().find(|member| tag == member.name.as_str()) else {
        return Some(format!("has the tag {tag}, which is no member"));
    };
    let Some(Type::Enum(values)) = schema.ty(&member.ty) else {
        return Some(format!("has the tag {tag}, which is no enumeration"));
    };
    let cases = member_names(entry, "variants", "case");
    if let Some(case) = cases.iter().find(|case| !values.contains(case)) {
        return Some(format!("has a variant for {case}, which the tag cannot be"));
    }
    let types = member_names(entry, "variants", "type");
    let no_object = |ty: &&String| !matches!(schema.ty(ty), Some(Type::Object { .. }));
    let odd = types.iter().find(no_object)?;
    Some(format!("has the variant {odd}, which is no object"))
}

fn alternates(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut findings = Vec::new();
    for entry in of_meta(&schema, "alternate") {
        let types = member_names(entry, "members", "type");
        let kinds: Vec<String> = types.iter().map(|ty| json_type(&schema, ty)).collect();
        findings.extend(twice(entry, &kinds));
    }
    verdict(findings, "")
}

/// What a value of the type is on the wire.
fn json_type(schema: &Schema, ty: &str) -> String {
    match schema.ty(ty) {
        Some(Type::Builtin(json)) => json.clone(),
        Some(Type::Enum(_)) => "string".to_owned(),
        Some(Type::Array(_)) => "array".to_owned(),
        Some(Type::Object { .. }) => "object".to_owned(),
        Some(Type::Alternate(_)) | None => ty.to_owned(),
    }
}

fn enums(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut findings = Vec::new();
    for entry in of_meta(&schema, "enum") {
        let values = entry["values"].as_array().into_iter().flatten();
        let values: Vec<String> = values
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        findings.extend(twice(entry, &values));
        // Older servers have no members.
        if entry.get("members").is_some() && member_names(entry, "members", "name") != values {
            findings.push(finding(name(entry), "has values that are not its members"));
        }
    }
    verdict(findings, "")
}

fn builtins(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let known = [
        "string", "number", "int", "boolean", "null", "object", "array", "value",
    ];
    let odd = of_meta(&schema, "builtin").filter(|entry| {
        let json = entry["json-type"].as_str().unwrap_or_default();
        !known.contains(&json)
    });
    let findings = odd.map(|entry| {
        let what = format!("has the JSON type {}", entry["json-type"]);
        finding(name(entry), what)
    });
    verdict(findings.collect(), "")
}

fn query_commands(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut wire = bench.wire(State::Negotiated)?;
    let reply = wire.call(&json!({"execute": "query-commands"}))?;
    bench.keep(wire);
    let listed: BTreeSet<String> = member_names(&reply, "return", "name").into_iter().collect();
    let shown: BTreeSet<String> = schema
        .commands()
        .map(|command| command.name.clone())
        .collect();
    let more = listed.difference(&shown);
    let less = shown.difference(&listed);
    let more = more.map(|name| finding(name, "is listed, but not in the schema"));
    let less = less.map(|name| finding(name, "is in the schema, but not listed"));
    verdict(
        more.chain(less).collect(),
        format!("{} commands", listed.len()),
    )
}

fn itself(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let entries = Value::Array(schema.entries.clone());
    let fault = match schema.command("query-qmp-schema") {
        Some(command) => schema.fit(&entries, &command.returns).err(),
        None => Some("is not in the schema".to_owned()),
    };
    let findings = fault.map(|fault| finding("query-qmp-schema", fault));
    verdict(findings.into_iter().collect(), "")
}
