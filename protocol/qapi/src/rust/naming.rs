//! Wire names to Rust names.

/// Words that cannot name a field as they are.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// Names that generated code uses itself.
const TAKEN: &[&str] = &[
    "Box",
    "Command",
    "CommandSpec",
    "Event",
    "Name",
    "Option",
    "Result",
    "Serialize",
    "Source",
    "String",
    "Vec",
    "Visit",
    "VisitMembers",
];

/// A type: camel case.
pub(super) fn type_name(name: &str) -> String {
    let camel = variant(name);
    match TAKEN.contains(&camel.as_str()) {
        true => camel + "Type",
        false => camel,
    }
}

/// A variant of an enumeration: camel case.
pub(crate) fn variant(name: &str) -> String {
    let mut camel = String::new();
    for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        let mut chars = part.chars();
        camel.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(chars.as_str());
    }
    let is_lawful = camel.starts_with(|first: char| first.is_ascii_alphabetic()) && camel != "Self";
    if is_lawful {
        camel
    } else {
        format!("_{camel}")
    }
}

/// A field.
pub(super) fn field(name: &str) -> String {
    let snake = name.replace(['-', '.'], "_").to_ascii_lowercase();
    match KEYWORDS.contains(&snake.as_str()) {
        true => format!("r#{snake}"),
        false if snake == "self" || snake == "super" || snake == "crate" => format!("{snake}_"),
        false => snake,
    }
}

/// A module; files above the main one lose the way up.
pub(super) fn module_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("_").to_ascii_lowercase()
}
