//! `tinamou`: a machine started with QEMU's command line.

use std::process::ExitCode;
use std::{panic, thread};

use tinamou::options::{self, Invocation};
use tinamou::{daemon, log};

fn main() -> ExitCode {
    restore_terminal_on_panic();
    let program = std::env::args_os().next();
    let program = program.map_or_else(|| "tinamou".into(), |first| options::program_name(&first));
    let mut warnings = Vec::new();
    let invocation = options::parse(std::env::args_os(), &mut warnings);
    for warning in &warnings {
        log::tell(&program, warning);
    }
    let result = match invocation {
        Ok(Invocation::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Run(config)) if config.daemonize && !daemon::is_daemon() => {
            daemon::launch().map_err(|error| error.to_string())
        }
        Ok(Invocation::Run(config)) => tinamou::run(config, &program)
            .map(ExitCode::from)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    result.unwrap_or_else(|error| {
        log::tell(&program, error);
        ExitCode::FAILURE
    })
}

/// What a panic of the main thread says should be seen on a sane terminal, and
/// be left on one. Other threads' panics do not end the process.
fn restore_terminal_on_panic() {
    let main = thread::current().id();
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        if thread::current().id() == main {
            tinamou_chardev::restore_terminal();
        }
        report(what);
    }));
}
