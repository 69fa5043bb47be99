//! Reading the value of a property, with QEMU's wording where it is wrong.

use tinamou_qmp::{Error, Object, Result, Source as _, Value, ValueSource, Visit};

use crate::{Convert as _, DevFn, Kind, MacAddr};

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Text of `-device driver,key=value`.
    Text(String),
    /// Text of `-global driver.key=value`, for which QEMU words a few faults
    /// differently.
    Global(String),
    /// A value of a JSON object.
    Json(Value),
}

/// Why a name of something outside cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such thing.
    NotFound,
    /// It serves another device already.
    InUse,
    /// It is an object, but of another type.
    WrongType,
    /// Any other reason, which is told as it is.
    Because(String),
    /// A whole error of its own.
    Error(Error),
}

/// What property values may refer to: back ends, and objects of the tree.
pub trait Referents {
    /// Whether a device may be given what `name` names: a drive, netdev,
    /// chardev or link, as `kind` says.
    ///
    /// # Errors
    /// It may not.
    fn check(&self, kind: Kind, name: &str) -> Result<(), Refusal>;
}

impl Kind {
    /// Reads the value of property `name` of a device whose class is `owner`.
    ///
    /// # Errors
    /// The value is wrong.
    pub fn read(
        self,
        owner: &str,
        name: &str,
        given: Given,
        referents: &dyn Referents,
    ) -> Result<Value> {
        let input = Input { name, given };
        match self {
            Self::Bool => Ok(Value::Bool(input.visit::<bool>("")?)),
            Self::U8 => Ok(input.visit::<u8>("uint64")?.to_value()),
            Self::U16 => Ok(input.visit::<u16>("uint64")?.to_value()),
            Self::U32 => Ok(input.visit::<u32>("uint64")?.to_value()),
            Self::U64 => Ok(input.visit::<u64>("uint64")?.to_value()),
            Self::I32 | Self::BootIndex => Ok(input.visit::<i32>("int64")?.to_value()),
            Self::I64 => Ok(input.visit::<i64>("int64")?.to_value()),
            Self::Size => Ok(input.size()?.to_value()),
            Self::Size32 => small_size(owner, name, input.size()?),
            Self::BlockSize => block_size(name, input.size()?),
            Self::Str => Ok(Value::String(input.text()?)),
            Self::Enum(_, words, _) => word(name, words, input.text()?),
            Self::Mac => {
                let text = input.text()?;
                let parsed = text.parse::<MacAddr>().map(|address| address.to_value());
                parsed.map_err(|()| not_taken(owner, name, &text))
            }
            Self::PciAddress => pci_address(owner, input),
            Self::Drive | Self::Netdev | Self::Chardev | Self::Link(_) => {
                reference(self, owner, input, referents)
            }
            Self::Child(_) | Self::BusNumber => Err(not_writable(owner, name)),
            Self::List => match input.given {
                Given::Json(Value::Array(elements)) => Ok(Value::Array(elements)),
                _ => Err(Error::invalid_type(name, "array")),
            },
            Self::Any(..) => match input.given {
                Given::Json(value) => Ok(value),
                Given::Text(_) | Given::Global(_) => Err(Error::invalid_type(name, "array")),
            },
        }
    }
}

/// A value and the name it was given under.
struct Input<'a> {
    name: &'a str,
    given: Given,
}

impl Input<'_> {
    fn source(self) -> Result<ValueSource> {
        let hung = |value| Object::from([(self.name.to_owned(), value)]);
        let mut source = match self.given {
            Given::Text(text) | Given::Global(text) => {
                ValueSource::keyval(hung(Value::String(text)))
            }
            Given::Json(value) => ValueSource::json(Value::Object(hung(value))),
        };
        source.begin_struct(None)?;
        Ok(source)
    }

    /// Reads a scalar; `global` is what `-global` says it expects.
    fn visit<T: Visit>(self, global: &str) -> Result<T> {
        let name = self.name.to_owned();
        let is_global = matches!(self.given, Given::Global(_));
        let value = T::visit(&mut self.source()?, Some(&name));
        value.map_err(|error| {
            let generic = is_global && error == Error::expects(Some(&name), "integer");
            if generic {
                Error::expects(Some(&name), global)
            } else {
                error
            }
        })
    }

    fn size(self) -> Result<u64> {
        let name = self.name.to_owned();
        let is_global = matches!(self.given, Given::Global(_));
        let size = self.source()?.size(Some(&name));
        size.map_err(|error| {
            if is_global {
                Error::expects(Some(&name), "a non-negative number below 2^64")
            } else {
                error
            }
        })
    }

    fn text(self) -> Result<String> {
        let name = self.name.to_owned();
        self.source()?.string(Some(&name))
    }
}

fn small_size(owner: &str, name: &str, size: u64) -> Result<Value> {
    if size > u64::from(u32::MAX) {
        return Err(Error::generic(format!(
            "Property {owner}.{name} doesn't take value {size} (maximum: {})",
            u32::MAX
        )));
    }
    Ok(size.to_value())
}

fn block_size(name: &str, size: u64) -> Result<Value> {
    if size != 0 && !(size.is_power_of_two() && (512..=2 << 20).contains(&size)) {
        return Err(Error::generic(format!(
            "parameter {name} must be a power of 2 between 512 and 2097152"
        )));
    }
    Ok(size.to_value())
}

fn word(name: &str, words: &[&str], text: String) -> Result<Value> {
    if !words.contains(&text.as_str()) {
        return Err(Error::value_not_accepted(Some(name), &text));
    }
    Ok(Value::String(text))
}

fn pci_address(owner: &str, input: Input<'_>) -> Result<Value> {
    let name = input.name;
    if let Given::Json(Value::Int(number)) = input.given {
        if !(-1..=255).contains(&number) {
            let refused = format!("Property '{owner}.{name}' doesn't take value '{number}'");
            return Err(Error::generic(refused));
        }
        return Ok(Value::Int(number));
    }
    let text = input.text()?;
    let parsed = text.parse::<DevFn>().map(|devfn| devfn.to_value());
    parsed.map_err(|()| not_taken(owner, name, &text))
}

fn reference(
    kind: Kind,
    owner: &str,
    input: Input<'_>,
    referents: &dyn Referents,
) -> Result<Value> {
    let name = input.name;
    let text = input.text()?;
    if text.is_empty() {
        return Ok(Value::String(text));
    }
    let property = format!("Property '{owner}.{name}'");
    match referents.check(kind, &text) {
        Ok(()) => Ok(Value::String(text)),
        Err(Refusal::Error(error)) => Err(error),
        Err(Refusal::WrongType) => {
            let wanted = match kind {
                Kind::Link(wanted) => wanted,
                _ => "string",
            };
            Err(Error::invalid_type(name, wanted))
        }
        Err(Refusal::NotFound) if matches!(kind, Kind::Link(_)) => {
            Err(Error::device_not_found(&text))
        }
        Err(Refusal::NotFound) => Err(Error::generic(format!(
            "{property} can't find value '{text}'"
        ))),
        Err(Refusal::InUse) => Err(Error::generic(format!(
            "{property} can't take value '{text}', it's in use"
        ))),
        Err(Refusal::Because(reason)) => Err(Error::generic(format!(
            "{property} can't take value '{text}': {reason}"
        ))),
    }
}

fn not_taken(owner: &str, name: &str, text: &str) -> Error {
    Error::generic(format!(
        "Property '{owner}.{name}' doesn't take value '{text}'"
    ))
}

fn not_writable(owner: &str, name: &str) -> Error {
    Error::generic(format!("Property '{owner}.{name}' is not writable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shelf;

    impl Referents for Shelf {
        fn check(&self, _: Kind, name: &str) -> Result<(), Refusal> {
            match name {
                "free" => Ok(()),
                "taken" => Err(Refusal::InUse),
                "other" => Err(Refusal::WrongType),
                "odd" => Err(Refusal::Because("it is odd".into())),
                _ => Err(Refusal::NotFound),
            }
        }
    }

    fn check(kind: Kind, given: Given, expected: Result<Value, &str>) {
        let shown = format!("{kind:?} {given:?}");
        let read = kind.read("lamp", "p", given, &Shelf);
        assert_eq!(
            read.map_err(|error| error.desc),
            expected.map_err(str::to_owned),
            "{shown}"
        );
    }

    fn text(text: &str) -> Given {
        Given::Text(text.into())
    }

    fn global(text: &str) -> Given {
        Given::Global(text.into())
    }

    fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn text_is_converted() {
        check(Kind::Bool, text("on"), Ok(Value::Bool(true)));
        check(
            Kind::Bool,
            text("x"),
            Err("Parameter 'p' expects 'on' or 'off'"),
        );
        check(Kind::U32, text("0x10"), Ok(Value::Int(16)));
        check(Kind::U32, text("foo"), Err("Parameter 'p' expects integer"));
        check(Kind::U32, text("-1"), Err("Parameter 'p' expects uint32_t"));
        check(Kind::I32, text("-1"), Ok(Value::Int(-1)));
        check(
            Kind::U64,
            text("18446744073709551615"),
            Ok(Value::Uint(u64::MAX)),
        );
        check(Kind::Size, text("1.5k"), Ok(Value::Int(1536)));
        check(Kind::Size, text("foo"), Err("Parameter 'p' expects size"));
        check(
            Kind::Size32,
            text("5000000000"),
            Err("Property lamp.p doesn't take value 5000000000 (maximum: 4294967295)"),
        );
        let odd = "parameter p must be a power of 2 between 512 and 2097152";
        check(Kind::BlockSize, text("513"), Err(odd));
        check(Kind::BlockSize, text("4k"), Ok(Value::Int(4096)));
        check(Kind::BlockSize, text("0"), Ok(Value::Int(0)));
    }

    #[test]
    fn words_and_addresses() {
        let maybe = "Parameter 'p' does not accept value 'maybe'";
        check(Kind::ON_OFF_AUTO, text("maybe"), Err(maybe));
        check(Kind::ON_OFF_AUTO, text("auto"), Ok(string("auto")));
        let refused = "Property 'lamp.p' doesn't take value 'zz'";
        check(Kind::Mac, text("zz"), Err(refused));
        check(Kind::PciAddress, text("zz"), Err(refused));
        check(Kind::PciAddress, text("5"), Ok(Value::Int(40)));
        check(
            Kind::PciAddress,
            Given::Json(Value::Int(5)),
            Ok(Value::Int(5)),
        );
    }

    #[test]
    fn json_is_strict() {
        check(
            Kind::Bool,
            Given::Json(Value::Bool(true)),
            Ok(Value::Bool(true)),
        );
        check(
            Kind::Bool,
            Given::Json(string("on")),
            Err("Invalid parameter type for 'p', expected: boolean"),
        );
        check(
            Kind::U32,
            Given::Json(string("3")),
            Err("Parameter 'p' expects uint64"),
        );
        check(
            Kind::I32,
            Given::Json(string("3")),
            Err("Invalid parameter type for 'p', expected: integer"),
        );
        check(
            Kind::ON_OFF_AUTO,
            Given::Json(Value::Bool(true)),
            Err("Invalid parameter type for 'p', expected: string"),
        );
    }

    #[test]
    fn globals_have_words_of_their_own() {
        check(
            Kind::U32,
            global("foo"),
            Err("Parameter 'p' expects uint64"),
        );
        check(Kind::I32, global("foo"), Err("Parameter 'p' expects int64"));
        check(
            Kind::U32,
            global("99999999999"),
            Err("Parameter 'p' expects uint32_t"),
        );
        check(
            Kind::Size,
            global("foo"),
            Err("Parameter 'p' expects a non-negative number below 2^64"),
        );
    }

    #[test]
    fn references_are_looked_up() {
        check(Kind::Netdev, text("free"), Ok(string("free")));
        check(Kind::Netdev, text(""), Ok(string("")));
        check(
            Kind::Netdev,
            text("nope"),
            Err("Property 'lamp.p' can't find value 'nope'"),
        );
        check(
            Kind::Netdev,
            text("taken"),
            Err("Property 'lamp.p' can't take value 'taken', it's in use"),
        );
        check(
            Kind::Chardev,
            text("odd"),
            Err("Property 'lamp.p' can't take value 'odd': it is odd"),
        );
        check(
            Kind::Link("x"),
            text("nope"),
            Err("Device 'nope' not found"),
        );
        check(
            Kind::Link("x"),
            text("other"),
            Err("Invalid parameter type for 'p', expected: x"),
        );
        check(
            Kind::Child("x"),
            text("x"),
            Err("Property 'lamp.p' is not writable"),
        );
    }
}
