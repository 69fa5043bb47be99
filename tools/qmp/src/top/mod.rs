//! The screen of `qmp top`: a watcher for each machine, a state they tell
//! their news to, and a screen that draws it.

mod host;
mod input;
mod lines;
mod sample;
mod screen;
mod state;
mod terminal;
mod watcher;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tinamou_client::Address;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::{Error, Exit, Global, Output};
use input::{Effect, View};
use screen::Theme;
use state::{Machine, Update};
use terminal::Screen;
use watcher::{Teller, Watcher};

pub(crate) use lines::print;

/// News that may wait to be taken in.
const WAITING: usize = 256;

/// Commands of one machine that may wait to be run.
const TYPED: usize = 16;

/// The machines, and those who watch them until this is dropped.
pub(crate) struct Watched {
    machines: Vec<Machine>,
    /// Where each machine's watcher takes commands from.
    commands: Vec<mpsc::Sender<String>>,
    updates: mpsc::Receiver<(usize, Update)>,
    watchers: JoinSet<()>,
}

impl Watched {
    /// Starts to watch.
    pub(crate) fn start(addresses: Vec<Address>, interval: Duration, global: &Global) -> Self {
        let (sender, updates) = mpsc::channel(WAITING);
        let mut watched = Self {
            machines: Vec::new(),
            commands: Vec::new(),
            updates,
            watchers: JoinSet::new(),
        };
        for (machine, address) in addresses.into_iter().enumerate() {
            let (typed, commands) = mpsc::channel(TYPED);
            watched.machines.push(Machine::new(address.to_string()));
            watched.commands.push(typed);
            let watcher = Watcher {
                address,
                global: global.clone(),
                interval,
                teller: Teller {
                    machine,
                    updates: sender.clone(),
                },
                commands,
            };
            watched
                .watchers
                .spawn(async move { match watcher.run().await {} });
        }
        watched
    }

    /// Waits for news, and takes in all there is.
    async fn news(&mut self) {
        let Some(first) = self.updates.recv().await else {
            return;
        };
        // A server that floods us must not keep the screen from being drawn.
        let waiting = std::iter::from_fn(|| self.updates.try_recv().ok());
        let news: Vec<_> = std::iter::once(first)
            .chain(waiting.take(WAITING))
            .collect();
        let now = Instant::now();
        for (machine, update) in news {
            self.machines[machine].absorb(update, now);
        }
    }

    /// Does what a key asks; breaks when that is to quit.
    fn take(&mut self, view: &mut View, key: &crossterm::event::Event) -> ControlFlow<()> {
        let lines = self.machines[view.selected].lines.len();
        match view.take(key, self.machines.len(), lines) {
            Effect::None => {}
            Effect::Quit => return ControlFlow::Break(()),
            Effect::Run(line) => {
                if self.commands[view.selected].try_send(line).is_err() {
                    let text = "too many commands are under way".to_owned();
                    let kind = state::Kind::Fault;
                    let refusal = Update::Line(state::Line { kind, text });
                    self.machines[view.selected].absorb(refusal, Instant::now());
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Shows the machines on the terminal until `q` is pressed.
pub(crate) async fn show(mut watched: Watched, output: &Output) -> Result<Exit, Error> {
    let failed = |error| Error::io("the terminal")(error);
    let theme = Theme {
        colour: output.is_coloured(),
    };
    let mut view = View::new(watched.machines.len());
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    // Times that are shown go on without news.
    let mut second = interval(Duration::from_secs(1));
    let mut screen = Screen::open().map_err(failed)?;
    let mut keys = terminal::events();
    loop {
        let now = Instant::now();
        let draw = |frame: &mut ratatui::Frame| {
            screen::draw(frame, &watched.machines, &view, theme, now);
        };
        screen.0.draw(draw).map_err(failed)?;
        tokio::select! {
            () = watched.news() => {}
            _ = second.tick() => {}
            _ = hangup.recv() => return Ok(Exit::Done),
            _ = terminate.recv() => return Ok(Exit::Done),
            key = keys.recv() => {
                let Some(key) = key else {
                    return Ok(Exit::Done);
                };
                let key = key.map_err(failed)?;
                if watched.take(&mut view, &key).is_break() {
                    return Ok(Exit::Done);
                }
            }
        }
    }
}
