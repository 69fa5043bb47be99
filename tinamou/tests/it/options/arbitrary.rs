//! No text makes the parser panic or take long.

use proptest::prelude::*;
use std::ffi::OsString;
use tinamou::options::{self, table::OPTIONS};

fn option() -> impl Strategy<Value = String> {
    let known = (0..OPTIONS.len()).prop_map(|index| format!("-{}", OPTIONS[index].name));
    // A file that happens to exist is no business of this test.
    let known = known.prop_filter("reads files", |name| name != "-readconfig");
    prop_oneof![8 => known, 1 => "-{0,2}[a-zA-Z-]{0,8}"]
}

fn argument() -> impl Strategy<Value = String> {
    let keys = OPTIONS
        .iter()
        .filter_map(|opt| opt.group)
        .flat_map(|group| group.params);
    let keys: Vec<&str> = keys
        .map(|param| param.name)
        .chain(["id", "type", "qom-type", "zba", "", "a.0"])
        .collect();
    let value = prop_oneof![
        "[0-9]{0,24}[kMGTPEx.]?",
        "on|off|virt|none|rv64|memory-backend-ram|tcg|socket|null|mon:stdio|tcp:[a-z]{0,3}:[0-9]{0,3}",
        "unix:[a-z,=]{0,6}|\\{\"[a-z]{0,4}\":[\\[{0-9\"\\]}]{0,6}|[0-9a-f-]{36}",
        any::<String>(),
    ];
    let pair = (prop::sample::select(keys), value.clone(), any::<bool>()).prop_map(
        |(key, value, bare)| {
            if bare {
                key.to_owned()
            } else {
                format!("{key}={value}")
            }
        },
    );
    let pairs = prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join(","));
    prop_oneof![
        value.clone(),
        pairs.clone(),
        (value, pairs).prop_map(|(value, pairs)| format!("{value},{pairs}"))
    ]
}

proptest! {
    #[test]
    fn nothing_panics(args in prop::collection::vec((option(), argument()), 0..6)) {
        let args = args.into_iter().flat_map(|(option, argument)| [option, argument]);
        let args = std::iter::once("tinamou".to_owned()).chain(args).map(OsString::from);
        let mut warnings = Vec::new();
        let _ = options::parse(args, &mut warnings);
    }

    #[test]
    fn no_single_argument_panics(option in option(), argument in argument()) {
        let args = ["tinamou".to_owned(), option, argument].map(OsString::from);
        if let Err(error) = options::parse(args, &mut Vec::new()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
