//! The commands that need nothing but the monitor.

use super::{Arguments, Command, Console, Run};
use tinamou_qmp::Result;

/// `help`, `info`, `info history` and `print`, in the order of their names.
pub(super) fn commands<C: 'static>() -> Vec<Command<C>> {
    let history = Command::new("history", "", show_history)
        .help("list the lines entered so far")
        .preconfig();
    vec![
        Command::with_run("help|?", "name:S?", Run::Help)
            .usage("[cmd]")
            .help("list all commands, or describe one")
            .preconfig(),
        Command::with_run("info", "item:s?", Run::Table(vec![history]))
            .usage("[subcommand]")
            .help("report on a part of the system")
            .preconfig(),
        Command::new("print|p", "fmt:/,val:l", print)
            .usage("/fmt expr")
            .help("calculate an expression ($NAME is a register)"),
    ]
}

fn print<C>(_: &mut C, console: &mut Console<'_>, arguments: &Arguments) -> Result<()> {
    let value = arguments.format("fmt").value(arguments.int("val"));
    console.print(&format!("{value}\n"));
    Ok(())
}

fn show_history<C>(_: &mut C, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    let lines = console
        .terminal()
        .history
        .lines()
        .map(String::from_utf8_lossy);
    let text: String = lines
        .enumerate()
        .map(|(place, line)| format!("{place}: '{line}'\n"))
        .collect();
    console.print(&text);
    Ok(())
}
