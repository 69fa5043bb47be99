//! `-device help`, `-device X,help`, `info qdm`.

use std::fmt::Write as _;

use tinamou_qdev::{Category, Spec};
use tinamou_qmp::{Error, Result, Value};

use super::{CLASSES, Class};

/// The classes by category; those that only the board makes if `all`.
pub fn models(all: bool) -> String {
    let mut models: Vec<_> = CLASSES
        .iter()
        .filter(|class| !class.is_abstract && (all || CLASSES.is_user_creatable(class)))
        .map(|class| (CLASSES.category(class), class))
        .collect();
    // What has no category comes last.
    models.sort_by_key(|(category, class)| (category.is_none(), *category, class.name));
    let mut text = String::new();
    let mut last = None;
    for (category, class) in models {
        if last != Some(category) {
            let gap = if last.is_some() { "\n" } else { "" };
            let heading = category.map_or("Uncategorized", Category::heading);
            let _ = writeln!(text, "{gap}{heading} devices:");
            last = Some(category);
        }
        text.push_str(&model(class));
    }
    text
}

fn model(class: &'static Class) -> String {
    let mut text = format!("name \"{}\"", class.name);
    if let Some(bus) = CLASSES.bus(class) {
        let _ = write!(text, ", bus {bus}");
    }
    if let Some(alias) = class.alias {
        let _ = write!(text, ", alias \"{alias}\"");
    }
    if let Some(description) = CLASSES.description(class) {
        let _ = write!(text, ", desc \"{description}\"");
    }
    if !CLASSES.is_user_creatable(class) {
        text.push_str(", no-user");
    }
    text.push('\n');
    text
}

/// The properties of a class.
///
/// # Errors
/// There is no such class, or there are no devices of it.
pub fn properties(driver: &str) -> Result<String> {
    let class = CLASSES
        .model(driver)
        .ok_or_else(|| Error::device_not_found(driver))?;
    if class.is_abstract {
        return Err(Error::expects(
            Some("typename"),
            "a non-abstract device type",
        ));
    }
    let settable = all_properties(class).into_iter().map(property);
    let mut lines: Vec<_> = settable.chain(live_properties(class)).collect();
    lines.sort();
    if lines.is_empty() {
        return Ok(format!("There are no options for {}.\n", class.name));
    }
    Ok(format!("{} options:\n{}", class.name, lines.concat()))
}

/// What a device has beside what can be set, which QEMU lists as well.
fn live_properties(class: &'static Class) -> Vec<String> {
    let outer_and_inner = std::iter::successors(Some(class), |class| CLASSES.inner(class));
    let live = outer_and_inner
        .flat_map(|class| CLASSES.ancestry(class))
        .flat_map(|class| class.live)
        .filter(|(name, _)| !name.starts_with("legacy-"));
    let live = live.map(|(name, kind)| format!("  {name}=<{kind}>\n"));
    let inner = CLASSES.inner(class);
    let child = inner.map(|inner| format!("  virtio-backend=<child<{}>>\n", inner.name));
    live.chain(child).collect()
}

/// The properties of a class and of the device inside.
pub fn all_properties(class: &'static Class) -> Vec<&'static Spec> {
    let classes = std::iter::successors(Some(class), |class| CLASSES.inner(class));
    classes
        .flat_map(|class| CLASSES.properties(class))
        .collect()
}

fn property(spec: &Spec) -> String {
    let name = format!("{}=<{}>", spec.name, spec.kind.type_name());
    let default = spec.shown_default().map(|value| shown(&value));
    let text = match (spec.description(), default) {
        (None, None) => return format!("  {name}\n"),
        (description, None) => description.unwrap_or_default().to_owned(),
        (description, Some(default)) => {
            format!("{} (default: {default})", description.unwrap_or_default())
        }
    };
    format!("  {name:<22} - {text}\n")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(_) => "[]".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Null | Value::Double(_) | Value::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_laid_out_in_columns() {
        let text = properties("virtio-mmio").expect("listed");
        let expected = "virtio-mmio options:\n\
            \x20 force-legacy=<bool>    - on/off (default: on)\n\
            \x20 format_transport_address=<bool> - on/off (default: on)\n\
            \x20 ioeventfd=<bool>       - on/off (default: on)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_has_no_properties_says_so() {
        let check = |driver, expected: &str| {
            let text = properties(driver).unwrap_or_else(|error| error.desc);
            assert_eq!(text, expected);
        };
        check("foo", "Device 'foo' not found");
        check(
            "sys-bus-device",
            "Parameter 'typename' expects a non-abstract device type",
        );
        check(
            "riscv.sifive.test",
            "There are no options for riscv.sifive.test.\n",
        );
    }
}
