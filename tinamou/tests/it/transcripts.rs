//! Plays whole QMP conversations against `tinamou`, and the same ones against
//! real QEMU, so that a wrong expectation shows.
//!
//! A transcript file begins with `# -option value …`, the command line. Then
//! `> TEXT` is sent as it stands, `< JSON` is the message that must come, in
//! which the string `"*"` matches anything. `<t JSON` is expected of Tinamou
//! alone and `<q JSON` of QEMU alone, where we differ on purpose.

use std::fs;
use std::path::Path;

use crate::support::{QEMU, Vm, installed, skip, tinamou};
use serde_json::Value;

#[test]
fn tinamou_follows_the_transcripts() {
    play_all(&tinamou(), 't');
}

#[test]
fn qemu_follows_the_transcripts() {
    if installed(QEMU) {
        play_all(Path::new(QEMU), 'q');
    } else {
        skip("qemu-system-riscv64 is not installed");
    }
}

fn play_all(program: &Path, side: char) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("the transcripts")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no transcripts");
    for file in files {
        play(program, side, &file);
    }
}

fn play(program: &Path, side: char, file: &Path) {
    let text = fs::read_to_string(file).expect("a transcript");
    let mut lines = text.lines().enumerate();
    let (_, options) = lines.next().expect("a command line");
    let options: Vec<&str> = options.trim_start_matches('#').split_whitespace().collect();
    let vm = Vm::start_alone(program, &options);
    let mut qmp = vm.connect();
    for (number, line) in lines {
        let at = format!("{}:{}", file.display(), number + 1);
        match line.split_once(' ') {
            Some((">", text)) => qmp.send(format!("{text}\n").as_bytes()),
            Some((kind, wanted)) if kind == "<" || kind == format!("<{side}") => {
                let wanted: Value =
                    serde_json::from_str(wanted).unwrap_or_else(|error| panic!("{at}: {error}"));
                let message = qmp
                    .read()
                    .unwrap_or_else(|| panic!("{at}: the stream ends"));
                assert!(
                    matches(&wanted, &message),
                    "{at}:\nwanted {wanted}\n   got {message}"
                );
            }
            Some(("<t" | "<q" | "#", _)) | None => {}
            Some(_) => panic!("{at}: what is this line?"),
        }
    }
}

fn matches(wanted: &Value, message: &Value) -> bool {
    match (wanted, message) {
        (Value::String(star), _) if star == "*" => true,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| matches(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| matches(a, b)))
        }
        _ => wanted == message,
    }
}
