//! `qmp shell`: lines typed by a person become commands, and events are
//! printed as they come.

mod complete;
mod describe;
mod docs;
mod editor;
mod line;
mod live;
mod words;
mod wrap;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use serde_json::{Value, json};
use tinamou_client::{Client, Error as ClientError, EventMessage, Events, Schema};
use tokio::process::Child;
use tokio::runtime::Handle;

use crate::commands::shell::Options;
use crate::recording::{Recorder, Redactor, Tape, Taped};
use crate::{Error, Exit, Global, Output, connect, watch};
use complete::Completion;
use docs::Docs;
use editor::{Editor, Input};
use line::{Line, Reader, Request};

/// Runs the shell until its user leaves or the server ends.
pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let (client, machine) = connect_to(&options, global).await?;
    let mut shell = Shell {
        schema: client.schema().await.ok(),
        events: client.events_after(0),
        reader: Reader::new(options.hmp),
        log: options.logfile.as_deref().map(open_log).transpose()?,
        failed: false,
        cpu: None,
        client,
        options,
        global,
        output,
    };
    let exit = shell.converse().await;
    if let Some(mut machine) = machine {
        shell.client.close().await;
        let _ = machine.kill().await;
    }
    exit
}

/// Connects, through a tape if all is to be recorded; to a machine that is
/// started for it if there is no address.
async fn connect_to(options: &Options, global: &Global) -> Result<(Client, Option<Child>), Error> {
    let (stream, builder, machine) = match &options.address {
        Some(address) => {
            let builder = connect::builder(address, global)?;
            (builder.dial(address).await?, builder, None)
        }
        None => {
            let builder = connect::starting(global, wrap::START);
            let (stream, machine) = wrap::start(&options.command, builder.clone()).await?;
            (stream, builder, Some(machine))
        }
    };
    let builder = match options.skip_negotiation {
        true => builder.agent(),
        false => builder,
    };
    let Some(path) = &options.record else {
        return Ok((builder.connect_over(stream).await?, machine));
    };
    let server = match &options.address {
        Some(address) => address.to_string(),
        // Its options may tell secrets.
        None => options.command.first().cloned().unwrap_or_default(),
    };
    let redactor = Redactor::new(options.redact.clone());
    let recorder = Recorder::create(path, &server);
    let tape = recorder.and_then(|it| Tape::new(Arc::new(it), 0, "qmp shell", redactor));
    let tape = tape.map_err(Error::io(path.display().to_string()))?;
    let client = builder.connect_over(Taped::new(stream, tape)).await?;
    Ok((client, machine))
}

fn open_log(path: &std::path::Path) -> Result<File, Error> {
    let file = File::options().append(true).create(true).open(path);
    file.map_err(Error::io(path.display().to_string()))
}

struct Shell<'a> {
    client: Client,
    schema: Option<Arc<Schema>>,
    events: Events,
    reader: Reader,
    log: Option<File>,
    /// A line was refused or not understood.
    failed: bool,
    /// The CPU that the human monitor's commands are about.
    cpu: Option<u32>,
    options: Options,
    global: &'a Global,
    output: &'a Output,
}

impl Shell<'_> {
    async fn converse(&mut self) -> Result<Exit, Error> {
        let interactive = Editor::is_interactive();
        if interactive {
            self.welcome()?;
        }
        let completion = Completion {
            client: self.client.clone(),
            runtime: Handle::current(),
            schema: self.schema.clone(),
            docs: self.docs(),
            human: self.human_commands().await,
        };
        let mut editor = Editor::start(completion, self.output.is_coloured());
        let exit = self.obey(&mut editor).await;
        editor.stop();
        let exit = exit?;
        // A script wants to know; a person has seen it.
        Ok(match exit {
            Exit::Done if self.failed && !interactive => Exit::Refused,
            exit => exit,
        })
    }

    fn docs(&self) -> Docs {
        match self.options.skip_negotiation {
            true => Docs::Agent,
            false => Docs::Monitor,
        }
    }

    fn welcome(&self) -> Result<(), Error> {
        let to = match self.client.greeting() {
            Some(greeting) => format!(" to QEMU {}", greeting.version.qemu),
            None => String::new(),
        };
        self.output.line(&format!(
            "Connected{to}. Tab completes, `help` explains, Ctrl-D leaves."
        ))
    }

    /// Takes lines until there are no more.
    async fn obey(&mut self, editor: &mut Editor) -> Result<Exit, Error> {
        loop {
            editor.ask(self.prompt());
            let input = loop {
                tokio::select! {
                    biased;
                    event = self.events.next() => match event {
                        Some(event) => self.tell_beside(editor, &event)?,
                        None => return self.ended().await,
                    },
                    input = editor.next() => break input,
                }
            };
            match input {
                Input::Line(text) => {
                    if self.line(&text).await? {
                        return Ok(Exit::Done);
                    }
                }
                Input::Garbled => {
                    self.failed = true;
                    self.output.error(&Error::usage("the line is not UTF-8"));
                }
                Input::Interrupt => self.reader.abandon(),
                Input::End => return Ok(Exit::Done),
                Input::Failed(error) => return Err(Error::io("the terminal")(error)),
            }
        }
    }

    fn prompt(&self) -> &'static str {
        match (self.reader.in_transaction(), self.reader.human) {
            (true, _) => "TRANS> ",
            (false, true) => "(qemu) ",
            (false, false) => "(QEMU) ",
        }
    }

    /// Obeys one line; whether it was the last.
    async fn line(&mut self, text: &str) -> Result<bool, Error> {
        match self.reader.read(text, self.schema.as_deref()) {
            Ok(Line::Nothing) => {}
            Ok(Line::Exit) => return Ok(true),
            Ok(Line::Help(name)) => self.help(name.as_deref())?,
            Ok(Line::Human(text)) => self.human(&text).await?,
            Ok(Line::Command(request)) => self.execute(request).await?,
            Err(error) => {
                self.failed = true;
                self.output.error(&error);
            }
        }
        Ok(false)
    }

    /// Runs a line of the human monitor. QEMU makes a monitor for each one, so
    /// the CPU that was chosen is sent along.
    async fn human(&mut self, line: &str) -> Result<(), Error> {
        let Some(cpu) = chosen_cpu(line) else {
            return self.execute(human(line, self.cpu)).await;
        };
        // Every machine has this one, and the CPU is looked at first.
        let asked = human("info version", Some(cpu));
        let asked = self.client.request(&asked.command, &asked.arguments);
        match connect::within(asked, self.global).value().await {
            Ok(_) => self.cpu = Some(cpu),
            Err(error) => {
                self.failed = true;
                self.output.error(&error.into());
            }
        }
        Ok(())
    }

    /// Runs a command, prints what comes of it, and the events on the way.
    /// Ctrl-C stops waiting for it; the connection is as good as before.
    async fn execute(&mut self, request: Request) -> Result<(), Error> {
        if self.options.verbose {
            self.show(&request.message())?;
        }
        let client = self.client.clone();
        let call = client
            .request(&request.command, &request.arguments)
            .oob(request.oob);
        let reply = {
            let call = connect::within(call, self.global).value();
            tokio::pin!(call);
            loop {
                tokio::select! {
                    biased;
                    Some(event) = self.events.next() => watch::print(&event, self.output)?,
                    reply = &mut call => break Some(reply),
                    _ = tokio::signal::ctrl_c() => break None,
                }
            }
        };
        self.tell_waiting()?;
        match reply {
            Some(reply) => self.conclude(&request, reply),
            None => {
                self.output
                    .note("no longer waiting; a late reply will be dropped");
                Ok(())
            }
        }
    }

    fn conclude(
        &mut self,
        request: &Request,
        reply: Result<Value, ClientError>,
    ) -> Result<(), Error> {
        self.failed |= reply.is_err();
        let message = match &reply {
            Ok(value) => json!({"return": value}),
            Err(ClientError::Command { class, desc, .. }) => {
                json!({"error": {"class": class, "desc": desc}})
            }
            Err(_) => Value::Null,
        };
        self.record(request, &message)?;
        match reply {
            Ok(_) if self.options.verbose || self.output.is_json() => self.show(&message),
            Ok(value) => self.output.value(&value),
            Err(error) => {
                if self.options.verbose && !message.is_null() {
                    self.show(&message)?;
                }
                self.output.error(&error.into());
                Ok(())
            }
        }
    }

    /// Prints a message of the wire.
    fn show(&self, message: &Value) -> Result<(), Error> {
        match self.options.pretty {
            true => self
                .output
                .line(&crate::output::render(message, self.output.is_coloured())),
            false => self.output.line(&message.to_string()),
        }
    }

    /// Appends the command and its reply to the log, as one object.
    fn record(&mut self, request: &Request, reply: &Value) -> Result<(), Error> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        let mut message = request.message();
        if let (Value::Object(message), Value::Object(reply)) = (&mut message, reply) {
            message.extend(reply.clone());
        }
        writeln!(log, "{message}").map_err(Error::io("the log"))
    }

    fn help(&self, name: Option<&str>) -> Result<(), Error> {
        const GENERAL: &str = "\
COMMAND KEY=VALUE…     run a command; Tab completes all of it
{\"execute\": …}         the same as on the wire; may have many lines
transaction( … )       gather actions, one a line, and run them as one
!LINE                  run a line of the human monitor
help COMMAND|EVENT     its arguments and what it returns
exit                   leave (Ctrl-D); `quit` ends the machine";
        let Some(name) = name else {
            return self.output.line(GENERAL);
        };
        let Some(schema) = &self.schema else {
            return self.output.line("the server does not describe itself");
        };
        match schema.command(name).or_else(|| schema.event(name)) {
            Some(entity) => self
                .output
                .line(&describe::entity(schema, entity, self.docs())),
            None => self.output.line(&format!("no command or event {name}")),
        }
    }

    /// Prints an event above the line that is being typed.
    fn tell_beside(&self, editor: &Editor, event: &EventMessage) -> Result<(), Error> {
        match editor.print(watch::text(event, self.output)) {
            Ok(()) => Ok(()),
            Err(text) => self.output.line(&text),
        }
    }

    /// Prints the events that came with a reply.
    fn tell_waiting(&mut self) -> Result<(), Error> {
        while let Some(event) = self.events.try_next() {
            watch::print(&event, self.output)?;
        }
        Ok(())
    }

    async fn ended(&self) -> Result<Exit, Error> {
        let closed = self.client.closed().await;
        self.output.note(&closed.to_string());
        Ok(watch::exit_of(&closed))
    }

    /// What the human monitor can do, as its own help lists it.
    async fn human_commands(&self) -> Option<Vec<live::Candidate>> {
        if !self.reader.human {
            return None;
        }
        let mut commands = Vec::new();
        for line in ["help", "info"] {
            let listed = self
                .client
                .request("human-monitor-command", json!({"command-line": line}));
            if let Ok(Value::String(text)) = listed.value().await {
                commands.extend(text.lines().filter_map(listed_command));
            }
        }
        commands.sort();
        commands.dedup();
        Some(commands)
    }
}

/// A line of the human monitor's help: `info version  -- show the version`,
/// `quit|q -- quit the emulator`.
fn listed_command(line: &str) -> Option<live::Candidate> {
    let (usage, about) = line.split_once("--")?;
    let mut words = usage.split_whitespace();
    let first = words.next()?;
    let name = first.split('|').max_by_key(|name| name.len())?;
    let name = match words.next() {
        Some(topic) if name == "info" && !topic.starts_with('[') => format!("info {topic}"),
        _ => name.to_owned(),
    };
    let plain = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    plain.then(|| live::Candidate {
        value: name,
        about: about.trim().to_owned(),
    })
}

fn human(line: &str, cpu: Option<u32>) -> Request {
    let mut arguments = json!({"command-line": line});
    if let Some(cpu) = cpu {
        arguments["cpu-index"] = cpu.into();
    }
    Request {
        command: "human-monitor-command".to_owned(),
        arguments,
        oob: false,
    }
}

/// The CPU that a line of the human monitor chooses for those after it.
fn chosen_cpu(line: &str) -> Option<u32> {
    let number = line.strip_prefix("cpu ")?;
    number.trim().parse().ok()
}
