use super::*;

crate::enumeration! {
    /// Sides.
    pub enum Side {
        /// One.
        Left = "left",
        /// The other.
        Right = "right",
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Leaf {
    width: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<Side>,
}

/// A union whose branches refer to the union.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Tree {
    name: Option<String>,
    #[serde(flatten)]
    branch: TreeBranch,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind")]
enum TreeBranch {
    #[serde(rename = "leaf")]
    Leaf(Leaf),
    #[serde(rename = "fork")]
    Fork(Fork),
    #[serde(rename = "bare")]
    Bare,
    #[serde(untagged)]
    Unknown(Object),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fork {
    left: Box<TreeOrName>,
    right: Box<TreeOrName>,
}

impl Tagged for Tree {
    const TAG: &'static [&'static str] = &["kind", "leaf", "fork", "bare"];

    fn read<'de, A: serde::de::MapAccess<'de>>(tag: &str, members: A) -> Result<Self, A::Error> {
        let mut name = None;
        let members = Remaining::new(members, |key, members: &mut A| {
            match key {
                "name" => name = members.next_value()?,
                _ => return Ok(false),
            }
            Ok(true)
        });
        let branch = match tag {
            "leaf" => TreeBranch::Leaf(branch(members)?),
            "fork" => TreeBranch::Fork(branch(members)?),
            "bare" => no_members(members).map(|()| TreeBranch::Bare)?,
            _ => TreeBranch::Unknown(unknown::<Self, _>(tag, members)?),
        };
        Ok(Self { name, branch })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged(deserializer)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum TreeOrName {
    Tree(Tree),
    Name(String),
}

impl Alternate for TreeOrName {
    const NAME: &'static str = "TreeOrName";

    fn read<R: Read>(kind: &str, value: R) -> Result<Option<Self>, R::Error> {
        Ok(Some(match kind {
            "object" => Self::Tree(value.read()?),
            "string" => Self::Name(value.read()?),
            _ => return Ok(None),
        }))
    }
}

impl<'de> Deserialize<'de> for TreeOrName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        alternate(deserializer)
    }
}

/// What is read is written back the same, by any deserialiser.
fn check_kept(text: &str) {
    let tree: Tree = decode(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let value: Value = serde_json::from_str(text).expect("it is JSON");
    assert_eq!(serde_json::to_value(&tree).ok(), Some(value.clone()));
    assert_eq!(serde_json::from_str::<Tree>(text).ok(), Some(tree.clone()));
    assert_eq!(serde_json::from_value(value).ok(), Some(tree));
}

#[test]
fn unions_and_alternates_are_read_and_written() {
    for text in [
        r#"{"kind": "leaf", "name": "a", "width": 3, "side": "left"}"#,
        r#"{"width": 3, "side": "up", "name": "a", "kind": "leaf"}"#,
        r#"{"name": null, "kind": "bare"}"#,
        r#"{"left": "a", "name": "f", "kind": "fork", "right": {"name": "n", "kind": "bare"}}"#,
        r#"{"name": "n", "height": [1, {"a": null}], "kind": "new"}"#,
        r#"{"name": "\u0061\"", "k\u0069nd": "l\u0065af", "width": 1}"#,
    ] {
        check_kept(text);
    }
}

#[test]
fn unknown_things_are_tolerated_or_refused() {
    for (text, error) in [
        (r#"{"kind": "bare", "more": 1}"#, "more: unknown member"),
        (
            r#"{"name": "x", "kind": "new"}"#,
            "kind: unknown value 'new'",
        ),
        (
            r#"{"width": 3, "kind": "leaf", "side": "up"}"#,
            "side: unknown value 'up'",
        ),
        (
            r#"{"left": {"more": {}, "kind": "bare"}, "right": "", "kind": "fork"}"#,
            "left.more: unknown member",
        ),
    ] {
        assert!(decode::<Tree>(text).is_ok(), "{text}");
        let strict = decode_strict::<Tree>(text).map_err(|error| error.to_string());
        assert_eq!(strict, Err(error.to_owned()), "{text}");
    }
    let known = r#"[{"width": 3, "kind": "leaf", "side": "left", "name": "n"}]"#;
    assert!(decode_strict::<Vec<Tree>>(known).is_ok());
}

#[test]
fn faults_have_a_path() {
    for (text, error) in [
        ("7", "invalid type: integer `7`, expected an object"),
        (r#"[{"name": "x"}]"#, "[0]: missing field `kind`"),
        (r#"[{"name": "x", "kind": 1}]"#, "[0]: kind is no string"),
        (
            r#"[{"kind": "bare"}, {"kind": "leaf", "width": 300}]"#,
            "[1].width: invalid value: integer `300`, expected u8",
        ),
        (
            r#"[{"kind": "leaf", "side": "left"}]"#,
            "[0]: missing field `width`",
        ),
        (
            r#"[{"right": "", "left": {"left": 3, "right": "", "kind": "fork"}, "kind": "fork"}]"#,
            "[0].left.left: number is no TreeOrName",
        ),
        (r#"[{"kind": "bare"}"#, "[1]: EOF while parsing a list"),
        (r#"[] x"#, "trailing characters"),
    ] {
        let error_found = match text.starts_with('[') {
            true => decode::<Vec<Tree>>(text).map(drop),
            false => decode::<Tree>(text).map(drop),
        };
        assert_eq!(
            error_found.map_err(|error| error.to_string()),
            Err(error.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn nesting_is_limited() {
    let levels = 2000;
    let open = r#"{"kind": "fork", "right": "", "left": "#.repeat(levels);
    let text = format!("{open}\"\"{}", "}".repeat(levels));
    let error = decode::<Tree>(&text).expect_err("it is too deep");
    assert_eq!(error.reason, "nested too deeply");
}
