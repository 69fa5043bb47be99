//! The command line: any arguments give a configuration, a text or an error.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use tinamou::options::{self, Invocation};

/// Runs the target on one input: arguments, one a line.
pub fn run(input: &[u8]) {
    let arguments = input
        .split(|byte| *byte == b'\n')
        .map(|line| OsString::from_vec(line.to_vec()));
    // What stands in files is no business of the parser's.
    let arguments = arguments.filter(|argument| !argument.to_string_lossy().contains("readconfig"));
    let arguments = std::iter::once(OsString::from("tinamou")).chain(arguments);
    match options::parse(arguments, &mut Vec::new()) {
        Ok(Invocation::Run(config)) => assert!(config.memory.max_size >= config.memory.size),
        Ok(Invocation::Print(text)) => assert!(!text.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
