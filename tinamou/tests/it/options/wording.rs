//! Plays the command lines of `*.txt` against both programs. Those in `options`
//! are only read by Tinamou; those in `devices` make machines.

use crate::support::{QEMU, installed, skip, tinamou as program};
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use tinamou::options::{self, Invocation};

/// What each command line begins with, so that an accepted one makes a machine
/// that leaves when it is told to.
const BEFORE: &[&str] = &[
    "-display",
    "none",
    "-S",
    "-chardev",
    "stdio,id=zz",
    "-mon",
    "chardev=zz,mode=control",
];
const QUIT: &[u8] = b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"quit\"}\n";

#[derive(Clone)]
struct Case {
    at: String,
    arguments: Vec<String>,
    said: Vec<String>,
}

#[test]
fn tinamou_says_what_is_expected() {
    for case in cases("options", 't') {
        let found = tinamou(&case.arguments);
        assert_eq!(found, case.said, "{}", case.at);
    }
}

#[test]
fn tinamou_says_what_is_expected_of_devices() {
    let program = program();
    play(cases("devices", 't'), |case| {
        let found = run(&program, "tinamou", &case.arguments);
        assert_eq!(found, case.said, "{}", case.at);
    });
}

#[test]
fn qemu_says_what_is_expected() {
    if !installed(QEMU) {
        return skip("qemu-system-riscv64 is not installed");
    }
    let all = [cases("options", 'q'), cases("devices", 'q')].concat();
    play(all, |case| {
        let found = run(Path::new(QEMU), QEMU, &case.arguments);
        // QEMU may go on about it.
        let same = found
            .iter()
            .zip(&case.said)
            .all(|(found, said)| found == said);
        let at = &case.at;
        assert!(same && found.len() >= case.said.len(), "{at}: {found:#?}");
    });
}

/// Plays cases, several at a time.
fn play(cases: Vec<Case>, check: impl Fn(&Case) + Sync) {
    let cases = Mutex::new(cases.into_iter());
    let next = || {
        cases
            .lock()
            .expect("no test panics while it takes a case")
            .next()
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = next() {
                    check(&case);
                }
            });
        }
    });
}

fn tinamou(arguments: &[String]) -> Vec<String> {
    let all = ["tinamou"].iter().chain(BEFORE).map(OsString::from);
    let mut warnings = Vec::new();
    let result = options::parse(
        all.chain(arguments.iter().map(OsString::from)),
        &mut warnings,
    );
    let mut text: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    match result {
        Ok(Invocation::Run(_) | Invocation::Print(_)) => text.push("ok".to_owned()),
        Err(error) => text.push(error.to_string()),
    }
    text.iter()
        .flat_map(|text| text.lines())
        .map(str::to_owned)
        .collect()
}

fn run(program: &Path, name: &str, arguments: &[String]) -> Vec<String> {
    let mut child = Command::new(program)
        .args(BEFORE)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It may be gone before it reads this.
    let _ = child.stdin.take().expect("a pipe").write_all(QUIT);
    let output = child.wait_with_output().expect("the program ends");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let prefix = format!("{name}: ");
    let said = text.lines().map(|line| {
        line.strip_prefix(&prefix)
            .unwrap_or(line)
            .trim_end()
            .to_owned()
    });
    said.chain(output.status.success().then(|| "ok".to_owned()))
        .collect()
}

fn cases(directory: &str, side: char) -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(directory);
    let entries = fs::read_dir(directory).expect("the command lines");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let cases: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .flat_map(|path| read(&path, side))
        .collect();
    assert!(!cases.is_empty(), "there are no command lines");
    cases
}

fn read(path: &Path, side: char) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut common = Vec::new();
    let text = fs::read_to_string(path).expect("command lines");
    for (number, line) in text.lines().enumerate() {
        let at = format!("{}:{}", path.display(), number + 1);
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            ">" => {
                let arguments = [common.clone(), words(rest)].concat();
                cases.push(Case {
                    at,
                    arguments,
                    said: Vec::new(),
                });
            }
            "<" | "<t" | "<q" => {
                if kind == "<" || kind.ends_with(side) {
                    cases
                        .last_mut()
                        .expect("a command line first")
                        .said
                        .push(rest.to_owned());
                }
            }
            "#" if rest.starts_with('-') => common = words(rest),
            "" | "#" => {}
            _ => panic!("{at}: what is this line?"),
        }
    }
    cases
}

/// Splits like a shell that knows only single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            word.get_or_insert_default().push_str(part);
            continue;
        }
        for letter in part.chars() {
            match letter {
                ' ' => words.extend(word.take()),
                letter => word.get_or_insert_default().push(letter),
            }
        }
    }
    words.extend(word);
    words
}
