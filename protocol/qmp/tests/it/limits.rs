//! The reader's limits, exactly, and what they cost.

use tinamou_qmp::json::{MAX_NESTING, MAX_TEXT, MAX_TOKENS, Reader, Style, to_vec};
use tinamou_qmp::{Error, Value};

fn read_all(parts: &[&[u8]]) -> Vec<Result<Value, Error>> {
    let mut reader = Reader::new();
    let mut messages = Vec::new();
    for part in parts {
        reader.push(part);
        messages.extend(std::iter::from_fn(|| reader.read()));
    }
    messages
}

fn error(text: &str) -> Result<Value, Error> {
    Err(Error::generic(text))
}

fn nested(depth: usize) -> Vec<u8> {
    [vec![b'['; depth], vec![b']'; depth]].concat()
}

#[test]
fn nesting() {
    assert!(read_all(&[&nested(MAX_NESTING)])[0].is_ok());
    let messages = read_all(&[&nested(MAX_NESTING + 1)]);
    assert_eq!(messages[0], error("JSON nesting depth limit exceeded"));
    assert_eq!(
        messages[1..],
        vec![error("JSON parse error, expecting value"); MAX_NESTING + 1]
    );
}

/// The deepest value may be kept, compared, written and dropped by a thread
/// with a small stack.
#[test]
fn nesting_needs_little_stack() {
    let work = || {
        let value = read_all(&[&nested(MAX_NESTING)]).remove(0).unwrap();
        assert_eq!(value.clone(), value);
        let text = to_vec(&value, Style::Compact).unwrap();
        assert_eq!(text, nested(MAX_NESTING));
    };
    std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn tokens() {
    let zeros = |count: usize| ["[", &"0,".repeat(count - 1), "0]"].concat();
    // Two brackets, and a comma before each number but the first.
    let most = (MAX_TOKENS - 2) / 2;
    assert!(read_all(&[zeros(most).as_bytes()])[0].is_ok());
    let messages = read_all(&[zeros(most + 1).as_bytes()]);
    assert_eq!(messages[0], error("JSON token count limit exceeded"));
}

/// Strings whose texts, with quotes, have these lengths, in a list.
fn strings(lengths: &[usize]) -> Vec<Result<Value, Error>> {
    let text = vec![b'a'; MAX_TEXT + 2];
    let mut parts: Vec<&[u8]> = vec![b"[\""];
    for (place, length) in lengths.iter().enumerate() {
        if place > 0 {
            parts.push(b"\", \"");
        }
        parts.push(&text[..length - 2]);
    }
    parts.push(b"\"]");
    read_all(&parts)
}

#[test]
fn text() {
    let limit =
        |messages: Vec<_>| messages.first() == Some(&error("JSON token size limit exceeded"));
    // The brackets and commas count, and the last token may not reach the end.
    assert!(strings(&[MAX_TEXT - 3])[0].is_ok());
    assert!(limit(strings(&[MAX_TEXT - 2])));
    assert!(limit(strings(&[MAX_TEXT + 1])));
    assert!(strings(&[MAX_TEXT / 2, MAX_TEXT / 2 - 4])[0].is_ok());
    assert!(limit(strings(&[MAX_TEXT / 2, MAX_TEXT / 2 - 3])));
}

#[test]
fn a_token_without_end_is_cut_off() {
    let digits = vec![b'1'; 1 << 20];
    let mut reader = Reader::new();
    let mut messages = Vec::new();
    for _ in 0..=MAX_TEXT / digits.len() {
        reader.push(&digits);
        messages.extend(reader.read());
    }
    assert_eq!(messages, [error("JSON token size limit exceeded")]);
    // The next token began right behind the first one, and goes on.
    reader.push(b"\n");
    assert!(matches!(reader.read(), Some(Ok(Value::Double(_)))));
}
