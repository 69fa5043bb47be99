//! `tinamou`: a machine started with QEMU's command line.

use std::process::ExitCode;

use tinamou::options::{self, Invocation};

fn main() -> ExitCode {
    let program = std::env::args_os()
        .next()
        .map_or_else(|| "tinamou".into(), |first| options::program_name(&first));
    let mut warnings = Vec::new();
    let invocation = options::parse(std::env::args_os(), &mut warnings);
    for warning in &warnings {
        eprintln!("{program}: {warning}");
    }
    let result = match invocation {
        Ok(Invocation::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Run(config)) => {
            tinamou::run(config, &program).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}
