//! The schema of this repository is QEMU's whole interface: compared with
//! what QEMU 10.0.2 (riscv64) shows of its own, and with a QEMU source tree.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use tinamou_qapi::{Body, Branch, Definition, Feature, Schema, SectionKind, compile, describe};
use tinamou_qmp::introspect::{self, EntryShape, Shape, TypeId};

/// A line for each command, event and type, as [`Lines`] writes them.
const RECORDED: &str = include_str!("../recorded/qemu-10.0.2-riscv64.txt");

/// Commands and events of other builds: Windows's and x86-64's.
const BEYOND: &[&str] = &["get-win32-socket", "rtc-reset-reinjection"];

/// Words that our lines have and the recorded ones lack: what other builds
/// have, with further libraries or on other systems.
const MORE: &[(&str, &[&str])] = &[
    ("AudiodevDriver", &["coreaudio", "dsound", "sndio"]),
    (
        "BlockdevDriver",
        &[
            "io_uring",
            "nvme-io_uring",
            "virtio-blk-vfio-pci",
            "virtio-blk-vhost-user",
            "virtio-blk-vhost-vdpa",
        ],
    ),
    ("ChardevBackendKind", &["console"]),
    ("DisplayType", &["cocoa"]),
    ("MultiFDCompression", &["qatzip", "qpl", "uadk"]),
    (
        "NetClientDriver",
        &["af-xdp", "vmnet-host", "vmnet-shared", "vmnet-bridged"],
    ),
];

/// Words that the recorded lines have and ours lack: one vendor's hardware.
const LESS: &[(&str, &[&str])] = &[
    ("MemoryDeviceInfoKind", &["sgx-epc"]),
    (
        "ObjectType",
        &[
            "memory-backend-epc",
            "sev-guest",
            "sev-snp-guest",
            "s390-pv-guest",
        ],
    ),
];

/// The types that only those words lead to.
const VENDORS: &[&str] = &[
    "MemoryBackendEpcProperties",
    "SevGuestProperties",
    "SevSnpGuestProperties",
    "SgxEPCDeviceInfo",
    "SgxEPCDeviceInfoWrapper",
];

#[test]
fn is_whole() {
    let ours = Lines::of(&whole());
    let mut names = Vec::new();
    let mut wrong = Vec::new();
    for theirs in RECORDED.lines() {
        let (kind, name) = title(theirs);
        if kind == "command" || kind == "event" {
            names.push(name);
        }
        if VENDORS.contains(&name) {
            continue;
        }
        match ours.0.get(name) {
            Some(line) if same(line, theirs) => {}
            line => wrong.push(format!("{theirs}\n{}", line.map_or("-", |line| line))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let entries = whole().entries.iter().map(|entry| entry.name);
    let entries: Vec<&str> = entries.filter(|name| !BEYOND.contains(name)).collect();
    assert_eq!(entries, names, "in QEMU's order");
}

/// What is served is part of the whole, and has no more members or values.
#[test]
fn serves_a_part() {
    let (whole, served) = (Lines::of(&whole()), Lines::of(&served()));
    for (name, line) in &served.0 {
        let whole = &whole.0[name];
        let words: HashSet<&str> = whole.split(' ').map(plain).collect();
        let strange = line.split(' ').map(plain);
        let strange: Vec<_> = strange.filter(|word| !words.contains(word)).collect();
        assert!(strange.is_empty(), "{strange:?} of {line}\n{whole}");
    }
}

/// A word without features: some are not served.
fn plain(word: &str) -> &str {
    word.split_once('!').map_or(word, |(plain, _)| plain)
}

/// Whether two lines agree but for what is listed above. A word of a union is
/// listed with the enumeration of its tag.
fn same(ours: &str, theirs: &str) -> bool {
    let strip = |line: &str, lists: &[(&str, &[&str])]| {
        let is_listed = |word: &&str| {
            let label = word.split_once('=').map_or(*word, |(label, _)| label);
            let mut lists = lists.iter();
            lists.any(|(of, words)| line.contains(of) && words.contains(&label))
        };
        let words = line.split(' ').filter(|word| !is_listed(word));
        words.collect::<Vec<_>>().join(" ")
    };
    strip(ours, MORE) == strip(theirs, LESS)
}

/// The kind and the name of a line's subject.
fn title(line: &str) -> (&str, &str) {
    let (kind, rest) = line.split_once(' ').unwrap();
    let end = rest.find([' ', '!']).unwrap_or(rest.len());
    (kind, &rest[..end])
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn ours() -> Schema {
    let schema = compile(&root().join("schema/qapi-schema.json"));
    schema.unwrap_or_else(|error| panic!("{error}"))
}

fn whole() -> introspect::Schema {
    describe(&ours(), &HashSet::from(["WHOLE".to_owned()]))
}

fn served() -> introspect::Schema {
    describe(&ours(), &HashSet::new())
}

/// A line for each subject, by its name: `command NAME ARGUMENTS -> RETURN`,
/// `event NAME DATA`, `object NAME MEMBER:TYPE OPTIONAL?:TYPE tag=TAG CASE=TYPE`,
/// `enum NAME VALUE`, `alternate NAME TYPE`. Features follow `!`.
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn of(schema: &introspect::Schema) -> Self {
        let name = |id: TypeId| type_name(schema, id);
        let mut lines = BTreeMap::new();
        for entry in schema.entries {
            let subject = with_features(entry.name, entry.features);
            let line = match entry.shape {
                EntryShape::Event { data } => format!("event {subject} {}", name(data)),
                EntryShape::Command {
                    arguments,
                    returns,
                    allow_oob,
                } => {
                    let (arguments, returns) = (name(arguments), name(returns));
                    let oob = if allow_oob { " oob" } else { "" };
                    format!("command {subject} {arguments} -> {returns}{oob}")
                }
            };
            lines.insert(entry.name.to_owned(), line);
        }
        for ty in schema.types {
            let (kind, words) = match ty.shape {
                Shape::Builtin(_) | Shape::Array(_) => continue,
                Shape::Enum(values) => ("enum", values.iter().map(value).collect()),
                Shape::Alternate(types) => {
                    ("alternate", types.iter().map(|id| name(*id)).collect())
                }
                Shape::Object {
                    members,
                    tag,
                    variants,
                } => {
                    let members = members.iter().map(|member| {
                        let optional = if member.optional { "?" } else { "" };
                        let words = format!("{}{optional}:{}", member.name, name(member.ty));
                        with_features(&words, member.features)
                    });
                    let mut words: Vec<String> = members.collect();
                    words.extend(tag.map(|tag| format!("tag={tag}")));
                    let variants = variants.iter();
                    words.extend(variants.map(|(case, id)| format!("{case}={}", name(*id))));
                    ("object", words)
                }
            };
            let subject = with_features(ty.name, ty.features);
            let line = [format!("{kind} {subject}")].into_iter().chain(words);
            lines.insert(ty.name.to_owned(), line.collect::<Vec<_>>().join(" "));
        }
        Self(lines)
    }
}

fn type_name(schema: &introspect::Schema, id: TypeId) -> String {
    let ty = &schema.types[usize::from(id)];
    match ty.shape {
        Shape::Array(element) => format!("[{}]", type_name(schema, element)),
        _ if ty.name == "q_empty" => "{}".into(),
        _ => ty.name.into(),
    }
}

fn value(value: &introspect::EnumValue) -> String {
    with_features(value.name, value.features)
}

fn with_features(subject: &str, features: &[&str]) -> String {
    match features {
        [] => subject.to_owned(),
        _ => format!("{subject}!{}", features.join(",")),
    }
}

/// `QAPI_SCHEMA_DIR` is the root of a QEMU source tree. What introspection
/// does not show is compared here: flags, widths of integers, versions, and
/// the guest agent's schema.
#[test]
#[ignore = "needs QAPI_SCHEMA_DIR"]
fn says_of_everything_what_qemus_schemas_say() {
    let tree = PathBuf::from(std::env::var_os("QAPI_SCHEMA_DIR").unwrap());
    let mut wrong = Vec::new();
    for (ours, theirs) in [
        ("schema/qapi-schema.json", "qapi/qapi-schema.json"),
        ("schema/qga/qapi-schema.json", "qga/qapi-schema.json"),
    ] {
        let ours = compile(&root().join(ours)).unwrap_or_else(|error| panic!("{error}"));
        let theirs = compile(&tree.join(theirs)).unwrap_or_else(|error| panic!("{error}"));
        let found = theirs.in_order().filter(|theirs| !is_vendors(&theirs.name));
        wrong.extend(found.filter_map(|theirs| match ours.find(&theirs.name) {
            Some(ours) => differs(ours, theirs),
            None => Some(format!("{}: missing", theirs.name)),
        }));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a definition of QEMU's is tied to one vendor's hardware, or to an
/// architecture that is neither RISC-V nor x86.
fn is_vendors(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "CPU_POLARIZATION",
        "CpuModelBaseline",
        "CpuModelCompare",
        "CpuPolarization",
        "Evtchn",
        "GICCapability",
        "S390CpuPolarization",
        "SGX",
        "Sev",
        "Sgx",
        "dump-skeys",
        "query-cpu-model-baseline",
        "query-cpu-model-comparison",
        "query-gic",
        "query-s390x",
        "query-sev",
        "query-sgx",
        "set-cpu-topology",
        "sev-",
        "xen-event-",
    ];
    VENDORS.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn differs(ours: &Definition, theirs: &Definition) -> Option<String> {
    let (our, their) = (facts(ours), facts(theirs));
    let is_vendors = |fact: &str| {
        let mut lists = LESS.iter().flat_map(|(_, words)| *words);
        fact == "deprecated-props" || lists.any(|word| *word == fact)
    };
    let their: Vec<_> = their
        .into_iter()
        .filter(|(name, _)| !is_vendors(name))
        .collect();
    (our != their).then(|| format!("{}:\n  {our:?}\n  {their:?}", ours.name))
}

/// What a definition says of itself and of each of its parts.
fn facts(definition: &Definition) -> Vec<(String, String)> {
    let names = |features: &[Feature]| features.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    let doc = definition.doc.as_ref();
    let since = doc.and_then(|doc| doc.text(&SectionKind::Since));
    // Remarks may follow.
    let since = since.and_then(|since| since.split(';').next());
    let kind = definition.body.keyword();
    let of_all = format!("{kind} {:?} {since:?}", names(&definition.features));
    let of_kind = match &definition.body {
        Body::Command(it) => format!(
            "{:?} {:?} boxed {} gen {} oob {} preconfig {} coroutine {} answers {}",
            it.data,
            it.returns,
            it.boxed,
            it.generated,
            it.allow_oob,
            it.allow_preconfig,
            it.coroutine,
            it.success_response,
        ),
        Body::Event(it) => format!("{:?} boxed {}", it.data, it.boxed),
        Body::Union(it) => format!("{:?} by {}", it.base, it.discriminator),
        Body::Struct(it) => format!("{:?}", it.base),
        Body::Enum(_) | Body::Alternate(_) => String::new(),
    };
    let mut facts = vec![(of_all, of_kind)];
    let members = definition.body.members().iter();
    facts.extend(members.map(|it| {
        let features = names(&it.features);
        let fact = format!("{:?} {} {features:?}", it.kind, it.optional);
        (it.name.clone(), fact)
    }));
    let branch = |it: &Branch| (it.name.clone(), format!("{:?}", it.kind));
    match &definition.body {
        Body::Enum(it) => {
            let values = it.values.iter();
            facts.extend(values.map(|it| (it.name.clone(), format!("{:?}", names(&it.features)))));
        }
        Body::Union(it) => facts.extend(it.branches.iter().map(branch)),
        Body::Alternate(it) => facts.extend(it.branches.iter().map(branch)),
        _ => {}
    }
    facts
}
