//! `-global`: values for every device of a class.

use tinamou_qdev::{Given, Kind, Referents, Refusal, Settings};
use tinamou_qmp::{Error, Result};

use super::{CLASSES, Class};
use crate::options::config::Global;

/// What to warn of: values that are for no class of devices, or for devices
/// that only the board makes and does not.
///
/// # Errors
/// A value is wrong for a device of the board.
pub fn check(globals: &[Global], board: &[&'static Class]) -> Result<Vec<String>> {
    for class in board {
        apply(globals, class, &Nothing, &mut Settings::default())?;
    }
    let warning = |global: &Global| {
        let Global {
            driver, property, ..
        } = global;
        CLASSES
            .find(driver)
            .is_none()
            .then(|| format!("global {driver}.{property} has invalid class name"))
    };
    Ok(globals.iter().filter_map(warning).collect())
}

/// Gives a device of a class the values that are for it, or for the device
/// inside.
///
/// # Errors
/// A value is wrong, or is for no property of the class.
pub fn apply(
    globals: &[Global],
    class: &'static Class,
    referents: &dyn Referents,
    settings: &mut Settings,
) -> Result<()> {
    let classes = std::iter::successors(Some(class), |class| CLASSES.inner(class));
    // The device inside is made first.
    for class in classes.collect::<Vec<_>>().into_iter().rev() {
        let ours = |global: &&Global| CLASSES.is_a(class, &global.driver);
        for global in globals.iter().filter(ours) {
            put(global, class, referents, settings).map_err(|error| prefix(global, error))?;
        }
    }
    Ok(())
}

fn put(
    global: &Global,
    class: &'static Class,
    referents: &dyn Referents,
    settings: &mut Settings,
) -> Result<()> {
    let (name, value) = (&global.property, &global.value);
    let (owner, spec) = CLASSES.property(class, name).ok_or_else(|| {
        let class = class.name;
        Error::generic(format!("Property '{class}.{name}' not found"))
    })?;
    let given = Given::Global(value.clone());
    settings.put(name, spec.kind.read(owner.name, name, given, referents)?);
    Ok(())
}

fn prefix(global: &Global, error: Error) -> Error {
    let Global {
        driver,
        property,
        value,
    } = global;
    Error {
        desc: format!(
            "can't apply global {driver}.{property}={value}: {}",
            error.desc
        ),
        ..error
    }
}

/// Devices of the board refer to nothing.
pub struct Nothing;

impl Referents for Nothing {
    fn check(&self, _: Kind, _: &str) -> Result<(), Refusal> {
        Err(Refusal::NotFound)
    }
}
