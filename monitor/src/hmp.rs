//! HMP: the monitor for people. A registry of commands whose lines are parsed
//! by a description of their arguments, with help, errors and completion as
//! QEMU has them.
//!
//! Commands run on the main loop. The same registry serves any number of
//! readline monitors, and [`execute`](Hmp::execute) serves
//! `human-monitor-command`.
//!
//! `help`, `info`, `info history` and `print` are here; all else the embedder
//! adds.

mod arguments;
mod builtin;
pub(crate) mod complete;
mod console;
mod cursor;
pub(crate) mod editor;
mod expression;
mod format;

pub use arguments::Arguments;
pub use console::Console;
pub(crate) use console::Terminal;
pub use format::{Base, Format};

use crate::call::Call;
use arguments::Parameter;
use cursor::{Cursor, is_blank};
use std::fmt;
use tinamou_qmp::Result;

/// The commands of readline mode. `C` is what the main loop owns.
pub struct Hmp<C> {
    commands: Vec<Command<C>>,
    registers: Box<ReadRegister<C>>,
    banner: String,
    prompt: String,
}

type ReadRegister<C> = dyn Fn(&C, Option<usize>, &str) -> Option<i64> + Send + Sync;

/// A command of HMP.
pub struct Command<C> {
    names: &'static str,
    parameters: Vec<Parameter>,
    usage: &'static str,
    help: &'static str,
    details: Option<String>,
    preconfig: bool,
    run: Run<C>,
    completions: Vec<(&'static str, Box<Complete<C>>)>,
}

enum Run<C> {
    /// A function of the embedder.
    Handler(Box<Handler<C>>),
    /// Further commands; alone it shows their help.
    Table(Vec<Command<C>>),
    /// `help`.
    Help,
}

type Handler<C> = dyn Fn(&mut C, &mut Console<'_>, &Arguments) -> Result<()> + Send + Sync;
type Complete<C> = dyn Fn(&C, &Typed<'_>) -> Vec<String> + Send + Sync;

/// What is on the line when an argument is to be completed.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'l> {
    /// The arguments before it, flags included.
    pub before: &'l [String],
    /// How it begins.
    pub word: &'l str,
}

impl<C> Command<C> {
    /// A command of one or several names (`stop|s`) that takes the arguments
    /// that `parameters` describes (`fmt:/,addr:l`).
    ///
    /// # Panics
    /// The description is malformed.
    pub fn new(
        names: &'static str,
        parameters: &'static str,
        run: impl Fn(&mut C, &mut Console<'_>, &Arguments) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::with_run(names, parameters, Run::Handler(Box::new(run)))
    }

    /// What help shows behind the names.
    #[must_use]
    pub fn usage(mut self, usage: &'static str) -> Self {
        self.usage = usage;
        self
    }

    /// What help says about it.
    #[must_use]
    pub fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// What help shows instead of a line when it is asked about this command alone.
    #[must_use]
    pub fn details(mut self, details: String) -> Self {
        self.details = Some(details);
        self
    }

    /// Lets it run before the machine exists.
    #[must_use]
    pub fn preconfig(mut self) -> Self {
        self.preconfig = true;
        self
    }

    /// What the argument `parameter` may be, for the TAB key. Candidates that
    /// do not begin with what was typed are left out by the monitor.
    #[must_use]
    pub fn complete(
        mut self,
        parameter: &'static str,
        candidates: impl Fn(&C, &Typed<'_>) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.completions.push((parameter, Box::new(candidates)));
        self
    }

    fn with_run(names: &'static str, parameters: &'static str, run: Run<C>) -> Self {
        Self {
            names,
            parameters: Parameter::list(parameters),
            usage: "",
            help: "",
            details: None,
            preconfig: false,
            run,
            completions: Vec::new(),
        }
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.split('|').any(|other| other == name)
    }
}

impl<C: 'static> Hmp<C> {
    /// The commands that every monitor has. `banner` greets a client.
    #[must_use]
    pub fn new(banner: impl Into<String>) -> Self {
        Self {
            commands: builtin::commands(),
            registers: Box::new(|_, _, _| None),
            banner: banner.into(),
            prompt: "(qemu) ".into(),
        }
    }

    /// Adds a command. One of the same names is replaced.
    pub fn add(&mut self, command: Command<C>) -> &mut Self {
        insert(&mut self.commands, command);
        self
    }

    /// Adds a command below `info`.
    pub fn add_info(&mut self, command: Command<C>) -> &mut Self {
        for parent in &mut self.commands {
            if let Run::Table(commands) = &mut parent.run {
                insert(commands, command);
                break;
            }
        }
        self
    }

    /// How `$NAME` in an expression gets its value, from the CPU that the
    /// monitor stands at.
    pub fn registers(
        &mut self,
        read: impl Fn(&C, Option<usize>, &str) -> Option<i64> + Send + Sync + 'static,
    ) -> &mut Self {
        self.registers = Box::new(read);
        self
    }

    /// What a prompt looks like; at first `(qemu) `.
    pub fn set_prompt(&mut self, prompt: impl Into<String>) -> &mut Self {
        self.prompt = prompt.into();
        self
    }

    /// Runs one line, as `human-monitor-command` has it: the answer is what
    /// would be shown, with CR LF.
    pub fn execute(
        &self,
        context: &mut C,
        call: &mut Call,
        line: &str,
        cpu_index: Option<usize>,
    ) -> String {
        let mut terminal = Terminal {
            cpu_index,
            ..Terminal::default()
        };
        self.run_line(context, call, &mut terminal, line)
    }

    pub(crate) fn banner(&self) -> &str {
        &self.banner
    }

    pub(crate) fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Runs one line on a terminal.
    pub(crate) fn run_line(
        &self,
        context: &mut C,
        call: &mut Call,
        terminal: &mut Terminal,
        line: &str,
    ) -> String {
        let mut console = Console::new(call, terminal);
        self.dispatch(context, &mut console, line);
        console.finish()
    }

    fn dispatch(&self, context: &mut C, console: &mut Console<'_>, line: &str) {
        let mut cursor = Cursor::new(line);
        cursor.skip_blanks();
        if cursor.is_at_end() {
            return;
        }
        let start = cursor;
        let command = match find(&self.commands, &mut cursor, start) {
            Ok(command) => command,
            Err(fault) => return console.print(&fault),
        };
        let typed = cursor.since(start);
        if console.call().preconfig() && !command.preconfig {
            let fault = format!(
                "Command '{typed}' not available until machine initialization has completed.\n"
            );
            return console.print(&fault);
        }
        let arguments = {
            let cpu = console.cpu_index();
            let registers = |name: &str| (self.registers)(context, cpu, name);
            let last = &mut console.terminal().format;
            arguments::read(
                command.names,
                &command.parameters,
                &mut cursor,
                last,
                &registers,
            )
        };
        match arguments {
            Ok(arguments) => self.run(command, context, console, &arguments),
            Err(fault) => console.print(&format!(
                "{fault}\nTry \"help {typed}\" for more information\n"
            )),
        }
    }

    fn run(
        &self,
        command: &Command<C>,
        context: &mut C,
        console: &mut Console<'_>,
        arguments: &Arguments,
    ) {
        let result = match &command.run {
            Run::Handler(run) => run(context, console, arguments),
            Run::Table(_) => {
                self.help(console, "info");
                Ok(())
            }
            Run::Help => {
                self.help(console, arguments.string("name"));
                Ok(())
            }
        };
        if let Err(error) = result {
            console.print(&format!("Error: {error}\n"));
        }
    }

    /// Shows the help of what `topic` names, or of all commands.
    fn help(&self, console: &mut Console<'_>, topic: &str) {
        let mut commands = &self.commands;
        let mut path = String::new();
        let mut words = topic
            .split_ascii_whitespace()
            .map(|word| word.trim_matches('"'));
        let preconfig = console.call().preconfig();
        loop {
            let Some(word) = words.next() else {
                for command in commands.iter().filter(|it| it.preconfig || !preconfig) {
                    console.print(&command.help_line(&path));
                }
                return;
            };
            let Some(command) = commands.iter().find(|command| command.is_named(word)) else {
                return console.print(&format!("unknown command: '{path}{word}'\n"));
            };
            match &command.run {
                Run::Table(table) => {
                    commands = table;
                    path = format!("{path}{word} ");
                }
                _ => {
                    let line = || command.help_line(&path);
                    return console.print(&command.details.clone().unwrap_or_else(line));
                }
            }
        }
    }
}

impl<C> Command<C> {
    fn help_line(&self, path: &str) -> String {
        let Self {
            names, usage, help, ..
        } = self;
        format!("{path}{names} {usage} -- {help}\n")
    }
}

impl<C> fmt::Debug for Hmp<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.commands).finish()
    }
}

impl<C> fmt::Debug for Command<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names)
    }
}

/// Keeps `commands` in the order of their names, which is that of help.
fn insert<C>(commands: &mut Vec<Command<C>>, command: Command<C>) {
    match commands.binary_search_by(|other| other.names.cmp(command.names)) {
        Ok(place) => commands[place] = command,
        Err(place) => commands.insert(place, command),
    }
}

/// The command whose name the cursor stands at, inner tables included. The
/// cursor moves behind the name. The line began at `start`.
fn find<'c, C>(
    commands: &'c [Command<C>],
    cursor: &mut Cursor<'_>,
    start: Cursor<'_>,
) -> Result<&'c Command<C>, String> {
    let name = cursor.take_while(|byte| byte != b'/' && !is_blank(byte));
    let Some(command) = commands.iter().find(|command| command.is_named(name)) else {
        let typed = cursor.since(start);
        return Err(format!("unknown command: '{typed}'\n"));
    };
    let Run::Table(table) = &command.run else {
        return Ok(command);
    };
    let mut inner = *cursor;
    inner.skip_blanks();
    if inner.is_at_end() {
        return Ok(command);
    }
    *cursor = inner;
    find(table, cursor, start)
}
