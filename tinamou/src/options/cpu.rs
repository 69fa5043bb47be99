//! `-cpu`: the model, and which extensions it has.

use super::config::CpuConfig;
use super::error::{Error, Origin, Result};
use super::help;
use super::low::LowArgs;
use super::{params, value};
use tinamou_hart::{Extension, Isa};

/// The CPU models, as `-cpu help` and `query-cpu-definitions` list them.
pub const CPUS: &[&str] = &["max", "rv64"];

/// What QEMU's rv64 has properties for and [`Extension`] has not. These are
/// as they are: asking for that is fine.
#[rustfmt::skip]
const FIXED: &[&str] = &[
    "b", "e", "g", "h", "i", "mmu", "s", "smcdeleg", "smcntrpmf",
    "smcsrind", "smctr", "smdbltrp", "smepmp", "smmpm", "smnpm", "smrnmi", "smstateen",
    "ssccfg", "sscofpmf", "sscsrind", "ssctr", "ssdbltrp", "ssnpm", "sspm",
    "supm", "sv39", "svade", "svvptc", "u",
    "v", "zaamo", "zabha", "zacas", "zalrsc", "zama16b", "zbkb", "zbkc", "zbkx", "zca",
    "zcb", "zcd", "zce", "zcf", "zcmop", "zcmp", "zcmt", "zdinx", "zfbfmin", "zfh",
    "zfhmin", "zfinx", "zhinx", "zhinxmin", "zicfilp", "zicfiss",
    "zicsr", "zihintntl", "zihintpause", "zimop", "zk", "zkn", "zknd", "zkne", "zknh",
    "zkr", "zks", "zksed", "zksh", "zkt", "zmmul", "ztso", "zvbb", "zvbc", "zve32f",
    "zve32x", "zve64d", "zve64f", "zve64x", "zvfbfmin", "zvfbfwma", "zvfh", "zvfhmin",
    "zvkb", "zvkg", "zvkn", "zvknc", "zvkned", "zvkng", "zvknha", "zvknhb", "zvks", "zvksc",
    "zvksed", "zvksg", "zvksh", "zvkt",
];

/// Of [`FIXED`], what a hart has although the device tree does not say so.
const INHERENT: &[&str] = &["i", "mmu", "s", "sv39", "u"];

/// Reads `-cpu`.
pub(crate) fn read(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(help::list("Available CPUs:", CPUS));
        return Ok(());
    }
    low.cpu = Some(text.to_owned());
    Ok(())
}

/// Makes sense of `-cpu MODEL[,KEY=VALUE…]`.
pub(crate) fn resolve(text: Option<&str>) -> Result<CpuConfig> {
    let mut pieces = text.unwrap_or("rv64").split(',');
    let model = pieces.next().unwrap_or_default();
    if model.is_empty() {
        return Err(Error::new("-cpu option cannot be empty"));
    }
    if !CPUS.contains(&model) {
        return Err(Error::new(format!("unable to find CPU model '{model}'")));
    }
    let mut isa = base(model);
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let Some((key, text)) = piece.split_once('=') else {
            return Err(Error::new(format!(
                "Expected key=value format, found {piece}."
            )));
        };
        set(model, &mut isa, key, text).map_err(|error| {
            Error::new(format!(
                "can't apply global {model}-riscv-cpu.{piece}: {error}"
            ))
        })?;
    }
    Ok(CpuConfig {
        model: model.to_owned(),
        isa,
    })
}

/// Every property of a model, and whether a CPU has what it stands for.
pub fn properties(isa: &Isa) -> Vec<(&'static str, bool)> {
    let present = isa.names();
    let has = |name| INHERENT.contains(&name) || present.contains(&name);
    let switchable = Extension::ALL
        .iter()
        .map(|extension| (extension.name(), isa.has(*extension)));
    let fixed = FIXED.iter().map(|name| (*name, has(*name)));
    switchable.chain(fixed).collect()
}

fn base(model: &str) -> Isa {
    let mut isa = Isa::default();
    if model == "max" {
        for extension in Extension::ALL {
            // Every name in this list is a property.
            let _ = isa.set(extension.name(), true);
        }
    }
    isa
}

fn set(model: &str, isa: &mut Isa, key: &str, text: &str) -> Result<()> {
    let switchable = Extension::ALL
        .iter()
        .any(|extension| extension.name() == key);
    if !switchable && !FIXED.contains(&key) {
        return Err(Error::new(format!(
            "Property '{model}-riscv-cpu.{key}' not found"
        )));
    }
    let on = value::boolean(key, text)?;
    if switchable {
        return isa
            .set(key, on)
            .map_err(|error| Error::new(error.to_string()));
    }
    let present = INHERENT.contains(&key) || isa.names().contains(&key);
    match (present, on) {
        (false, true) => Err(Error::new(format!("extension '{key}' is not available"))),
        (true, false) => Err(Error::new(format!(
            "extension '{key}' cannot be switched off"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        match (resolve(Some(text)), expected) {
            (Ok(cpu), Ok(part)) => assert!(cpu.isa.string().contains(part), "{text}: {cpu:?}"),
            (Err(error), Err(message)) => assert_eq!(error.to_string(), message, "{text}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn models_and_properties() {
        check("rv64", Ok("rv64imafdc_"));
        check("max", Ok("_zicond_"));
        check("rv64,zicond=on", Ok("_zicond_"));
        check("rv64,zba=on,zba=off", Ok("_zawrs_zfa_zca_zcd_zbb_"));
        check("rv64,v=off,h=false,mmu=on,", Ok("rv64"));
        check("", Err("-cpu option cannot be empty"));
        check("foo", Err("unable to find CPU model 'foo'"));
        check("rv64,+zba", Err("Expected key=value format, found +zba."));
        check(
            "rv64,foo=on",
            Err(
                "can't apply global rv64-riscv-cpu.foo=on: Property 'rv64-riscv-cpu.foo' not found",
            ),
        );
        check(
            "rv64,zba=maybe",
            Err(
                "can't apply global rv64-riscv-cpu.zba=maybe: Parameter 'zba' expects 'on' or 'off'",
            ),
        );
        check(
            "rv64,v=on",
            Err("can't apply global rv64-riscv-cpu.v=on: extension 'v' is not available"),
        );
    }
}
