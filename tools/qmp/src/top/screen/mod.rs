//! Draws what is known. Plain ASCII, so that every terminal can show it, and
//! nothing that a server says is let through to the terminal unless it is
//! text.

mod detail;
mod table;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::input::View;
use super::state::{Condition, Kind, Machine};
use crate::output::size;

const HELP: &str = "\
q, Ctrl-C      quit
Tab, 1 to 9    another machine
Enter          the details of the chosen machine
Esc            back to the table of machines
Up, Down       choose a machine, or scroll the events
PgUp, PgDn     scroll the events; Home, End: all the way
:              type a command, as for qmp run:
               balloon value=512M
?              this help";

/// How much of a text is drawn.
const LONGEST: usize = 2000;

const KEYS: &str = "q quit  ? help  : command  Tab next  Up/Down scroll";

/// How the parts look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    /// Colours may be used.
    pub(crate) colour: bool,
}

impl Theme {
    fn paint(self, colour: Color) -> Style {
        match self.colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    fn head(self) -> Style {
        self.paint(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    fn meter(self) -> Style {
        self.paint(Color::Green)
    }

    fn state(self, machine: &Machine) -> Style {
        match machine.condition {
            Condition::Present if machine.state().0 == "running" => self.paint(Color::Green),
            Condition::Present | Condition::Connecting => self.paint(Color::Yellow),
            _ => self.paint(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    fn line(self, kind: Kind) -> Style {
        match kind {
            Kind::Event => self.paint(Color::Magenta),
            Kind::Typed => Style::new().add_modifier(Modifier::BOLD),
            Kind::Reply => Style::new(),
            Kind::Fault => self.paint(Color::Red),
        }
    }
}

/// Draws everything as it is at `now`.
pub(crate) fn draw(
    frame: &mut Frame,
    machines: &[Machine],
    view: &View,
    theme: Theme,
    now: Instant,
) {
    let area = frame.area();
    let Some(machine) = machines.get(view.selected) else {
        return;
    };
    let (bar, rest) = split(area, 1);
    let (middle, foot) = split(rest, rest.height.saturating_sub(1));
    let width = usize::from(area.width);
    let (title, body) = match view.detail {
        true => (
            detail::title(machine, now),
            detail::body(machine, width, theme),
        ),
        false => {
            let rows = usize::from(middle.height / 2).saturating_sub(1);
            let title = format!(" qmp top  {} machines", machines.len());
            (
                title,
                table::body(machines, view.selected, width, rows, theme, now),
            )
        }
    };
    let title = Line::styled(fit(&title, width), theme.bar());
    frame.render_widget(title, bar);
    if view.help {
        frame.render_widget(Paragraph::new(HELP), middle);
    } else {
        let (above, below) = split(middle, room(body.len(), middle.height));
        frame.render_widget(Paragraph::new(cut(body, above.height)), above);
        draw_lines(frame, machine, view, theme, below);
    }
    draw_foot(frame, view, foot);
}

/// How much of `height` a body gets: all it needs, but a share is left to the
/// events.
fn room(lines: usize, height: u16) -> u16 {
    let share = (height / 2).min(5);
    let lines = u16::try_from(lines).unwrap_or(u16::MAX);
    lines.min(height - share)
}

/// The first so many rows of an area, and the others.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let above = Rect { height, ..area };
    let below = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    (above, below)
}

/// As many lines as there is room for; the last says how many are missing.
fn cut(mut lines: Vec<Line<'static>>, height: u16) -> Vec<Line<'static>> {
    let height = usize::from(height);
    if let Some(last) = height.checked_sub(1)
        && lines.len() > height
    {
        let missing = lines.len() - last;
        lines.truncate(last);
        lines.push(Line::raw(format!("({missing} more lines)")));
    }
    lines
}

/// The list of events as far as its last line, or as it was scrolled.
fn draw_lines(frame: &mut Frame, machine: &Machine, view: &View, theme: Theme, area: Rect) {
    let (head, list) = split(area, 1);
    let title = match view.scroll {
        0 => "EVENTS".to_owned(),
        scroll => format!("EVENTS  {scroll} below"),
    };
    frame.render_widget(Line::styled(title, theme.head()), head);
    let end = machine.lines.len().saturating_sub(view.scroll);
    let begin = end.saturating_sub(usize::from(list.height));
    let lines = machine.lines.range(begin..end);
    let lines = lines.map(|line| Line::styled(plain(&line.text), theme.line(line.kind)));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), list);
}

fn draw_foot(frame: &mut Frame, view: &View, area: Rect) {
    let Some(typed) = &view.typed else {
        frame.render_widget(Line::raw(KEYS), area);
        return;
    };
    // The end of what is typed is what matters.
    let width = usize::from(area.width).saturating_sub(2);
    let mut shown = typed.as_str();
    while Span::raw(shown).width() > width {
        let mut chars = shown.chars();
        chars.next();
        shown = chars.as_str();
    }
    let line = Line::raw(format!(":{}", plain(shown)));
    let column = u16::try_from(line.width()).unwrap_or(u16::MAX);
    frame.render_widget(Clear, area);
    frame.render_widget(line, area);
    if !area.is_empty() {
        frame.set_cursor_position((area.x.saturating_add(column), area.y));
    }
}

/// Text of a server without what would steer a terminal, and no more of it
/// than the widest screen shows.
pub(crate) fn plain(text: &str) -> String {
    let chars = text.chars().take(LONGEST);
    let chars = chars.map(|char| if char.is_control() { '?' } else { char });
    chars.collect()
}

/// Text in exactly so many columns.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let mut text = plain(text);
    while Span::raw(text.as_str()).width() > width {
        text.pop();
    }
    let missing = width - Span::raw(text.as_str()).width();
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// A bar that is full as far as `part`, from 0 to 1, says.
fn meter(part: Option<f64>, width: usize) -> String {
    let part = part.unwrap_or(0.0).clamp(0.0, 1.0);
    let full = (part * width as f64).round() as usize;
    format!(
        "[{}{}]",
        "#".repeat(full),
        " ".repeat(width - full.min(width))
    )
}

/// Bytes a second.
pub(crate) fn rate(bytes: Option<f64>) -> String {
    match bytes {
        Some(bytes) => format!("{}/s", size(bytes as u64)),
        None => "-".to_owned(),
    }
}

/// A share of a host CPU or of some work.
pub(crate) fn percent(percent: Option<f64>) -> String {
    match percent {
        Some(percent) => format!("{percent:.0}%"),
        None => "-".to_owned(),
    }
}

/// A state, and how long it has been so if that matters.
pub(crate) fn state(machine: &Machine, now: Instant) -> String {
    match machine.state() {
        (state, None) => state.to_owned(),
        (state, Some(since)) => {
            format!("{state} {}", span(now.saturating_duration_since(since)))
        }
    }
}

/// A time in its largest unit.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86400),
    }
}
