//! `key=value` text, with the answers of `-blockdev` and `-object` in QEMU.

use tinamou_qmp::visit::{self, Name, Source, Visit as _};
use tinamou_qmp::{Result, Value, ValueSource, json, keyval};

fn show(text: &str) -> String {
    match keyval::parse(text, Some("driver")) {
        Err(error) => error.desc,
        Ok(keyval) => {
            let help = if keyval.help { " help" } else { "" };
            let json = json::to_vec(&Value::Object(keyval.members), json::Style::Compact).unwrap();
            String::from_utf8(json).unwrap() + help
        }
    }
}

#[test]
fn trees() {
    for (text, expected) in [
        ("", "{}"),
        ("raw", r#"{"driver": "raw"}"#),
        ("raw,a=1,", r#"{"driver": "raw", "a": "1"}"#),
        ("a=b=c", r#"{"a": "b=c"}"#),
        ("a=1,,2,,,b=3", r#"{"a": "1,2,", "b": "3"}"#),
        ("a=1,a=2", r#"{"a": "2"}"#),
        ("a=", r#"{"a": ""}"#),
        ("a.b.c=1,a.d=2", r#"{"a": {"b": {"c": "1"}, "d": "2"}}"#),
        ("a.1=y,a.0=x", r#"{"a": ["x", "y"]}"#),
        ("a.00=x,a.1=y", r#"{"a": ["x", "y"]}"#),
        ("a.0.b=x,a.1.0=y", r#"{"a": [{"b": "x"}, ["y"]]}"#),
        (
            "a-b_=1,__org.qemu_x=2,a.__org.qemu_x.y=3",
            r#"{"a-b_": "1", "__org.qemu_x": "2", "a": {"__org.qemu_x": {"y": "3"}}}"#,
        ),
        ("help", "{} help"),
        ("raw,?", r#"{"driver": "raw"} help"#),
        ("help=raw", r#"{"help": "raw"}"#),
        ("=x", "Invalid parameter ''"),
        ("raw,,x=1", "Invalid parameter ''"),
        ("raw,9x=3", "Invalid parameter '9x'"),
        ("raw,a..b=3", "Invalid parameter 'a..b'"),
        ("raw,.a=3", "Invalid parameter '.a'"),
        ("raw,a.=3", "Invalid parameter 'a.'"),
        ("raw,a/b=3", "Invalid parameter 'a/b'"),
        ("raw,é=1", "Invalid parameter 'é'"),
        ("raw,-a=1", "Invalid parameter '-a'"),
        ("raw,__=3", "Invalid parameter '__'"),
        ("raw,__x=3", "Invalid parameter '__x'"),
        ("0=raw", "Invalid parameter '0'"),
        ("raw,file", "Expected '=' after parameter 'file'"),
        ("file=a,file.b=1", "Parameters 'file.*' used inconsistently"),
        ("file.b=1,file=a", "Parameters 'file.*' used inconsistently"),
        ("a.0=x,a.b=y", "Parameters 'a.*' used inconsistently"),
        (
            "file.0.x=1,file.1=2,file.0=3",
            "Parameters 'file.0.*' used inconsistently",
        ),
        ("a.0=x,a.2=y", "Parameter 'a.1' missing"),
        ("a.4294967296=1", "Parameter 'a.0' missing"),
        ("x.0=1,x.1.y=3,x.3=1", "Parameter 'x.2' missing"),
        ("x.0.1=1", "Parameter 'x.0.0' missing"),
    ] {
        assert_eq!(show(text), expected, "{text}");
    }
}

#[test]
fn long_keys() {
    let name = "b".repeat(127);
    assert_eq!(
        show(&format!("a.{name}=1")),
        format!(r#"{{"a": {{"{name}": "1"}}}}"#)
    );
    assert_eq!(
        show(&format!("{name}b=1")),
        format!("Parameter '{name}b' is too long")
    );
    assert_eq!(
        show(&format!("a.{name}b=1")),
        format!("Parameter fragment '{name}b' is too long")
    );
    let deep = ["a"; 1025].join(".");
    assert_eq!(
        show(&format!("{deep}=1")),
        format!("Invalid parameter '{deep}'")
    );
}

/// Reads `a.b` out of `a.b=TEXT`.
fn read<T>(text: &str, read: fn(&mut ValueSource, Name<'_>) -> Result<T>) -> Result<T> {
    let keyval = keyval::parse(&format!("a.b={text}"), None)?;
    let mut source = ValueSource::keyval(keyval.members);
    source.begin_struct(None)?;
    source.begin_struct(Some("a"))?;
    let value = read(&mut source, Some("b"))?;
    source.end_struct()?;
    source.end_struct()?;
    Ok(value)
}

#[test]
fn sizes() {
    for (text, expected) in [
        ("4096", 4096),
        ("010", 10),
        ("0x10", 16),
        ("0X1E", 30),
        (" +1M", 1 << 20),
        ("5.", 5),
        ("4096.0", 4096),
        ("1.K", 1024),
        (".5M", 1 << 19),
        ("1.5k", 1536),
        ("0.1M", 104_858),
        ("1.7K", 1741),
        ("0.00048828125K", 1),
        ("0.0000000000000001E", 115),
        ("8b", 8),
        ("2t", 2 << 40),
        ("1P", 1 << 50),
        ("15E", 15 << 60),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(read(text, visit::size), Ok(expected), "{text}");
    }
    for text in [
        "",
        ".",
        "K",
        ".K",
        "foo",
        "1Q",
        "1MB",
        "1M ",
        "-4096",
        "++1",
        "1e3M",
        "1_0",
        "0x",
        "0x1M",
        "0x1.8M",
        "1.+5M",
        "1.5",
        "1.5B",
        "16E",
        "15.99999999999999999999E",
        "18446744073709551616",
        "1€",
        "inf",
    ] {
        let error = read(text, visit::size).unwrap_err();
        assert_eq!(error.desc, "Parameter 'a.b' expects size", "{text}");
    }
}

#[test]
fn integers_and_truth_values() {
    fn check<T: visit::Visit + PartialEq + std::fmt::Debug>(text: &str, expected: Result<T, &str>) {
        let value = read(text, T::visit).map_err(|error| error.desc);
        assert_eq!(value, expected.map_err(str::to_owned), "{text}");
    }
    check("-9223372036854775808", Ok(i64::MIN));
    check::<i64>(
        "9223372036854775808",
        Err("Parameter 'a.b' expects integer"),
    );
    check(" +0x8", Ok(8_i64));
    check("017", Ok(15_u64));
    check("-1", Ok(u64::MAX));
    check::<u64>("08", Err("Parameter 'a.b' expects integer"));
    check::<u64>("0x", Err("Parameter 'a.b' expects integer"));
    check::<u64>("0x+5", Err("Parameter 'a.b' expects integer"));
    check::<u64>("8 ", Err("Parameter 'a.b' expects integer"));
    check::<u64>(
        "18446744073709551616",
        Err("Parameter 'a.b' expects integer"),
    );
    check::<u8>("256", Err("Parameter 'b' expects uint8_t"));
    check("1.5", Ok(1.5));
    check::<f64>("inf", Err("Parameter 'a.b' expects number"));
    check("y", Ok(true));
    check("off", Ok(false));
    check::<bool>("1", Err("Parameter 'a.b' expects 'on' or 'off'"));
    let nested = read("x,a.b.c=1", String::visit).unwrap_err();
    assert_eq!(nested.desc, "Parameters 'a.b.*' used inconsistently");
}

#[test]
fn containers_are_no_scalars() {
    let keyval = keyval::parse("a.b=1", None).unwrap();
    let mut source = ValueSource::keyval(keyval.members);
    source.begin_struct(None).unwrap();
    assert_eq!(
        source.string(Some("a")).unwrap_err().desc,
        "Parameters 'a.*' are unexpected"
    );
}
