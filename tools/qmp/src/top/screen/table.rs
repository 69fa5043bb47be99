//! Many machines, a line each.

use std::time::Instant;

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{Theme, fit, percent, rate, state};
use crate::top::state::Machine;

/// The narrowest screen that has room for more than state and CPU.
const WIDE: usize = 66;

/// The machines around the chosen one, at most `rows` of them.
pub(super) fn body(
    machines: &[Machine],
    selected: usize,
    width: usize,
    rows: usize,
    theme: Theme,
    now: Instant,
) -> Vec<Line<'static>> {
    let rows = rows.clamp(1, machines.len().max(1));
    let first = (selected + 1).saturating_sub(rows);
    let head = cells(
        [
            "#",
            "MACHINE",
            "STATE",
            "CPU",
            "READ",
            "WRITE",
            "LAST EVENT",
        ],
        width,
    );
    let mut lines = vec![Line::styled(head.concat(), theme.head())];
    for (place, machine) in machines.iter().enumerate().skip(first).take(rows) {
        let cells = row(place, machine, width, now);
        let styles = [Style::new(), Style::new(), theme.state(machine)];
        let styles = styles.into_iter().chain(std::iter::repeat(Style::new()));
        let spans = cells.into_iter().zip(styles);
        let spans = spans.map(|(cell, style)| Span::styled(cell, style));
        let mut line = Line::from(spans.collect::<Vec<_>>());
        if place == selected {
            line = line.patch_style(Style::new().add_modifier(Modifier::REVERSED));
        }
        lines.push(line);
    }
    lines
}

fn row(place: usize, machine: &Machine, width: usize, now: Instant) -> Vec<String> {
    let disk = machine.disk();
    let cells = [
        &(place + 1).to_string(),
        machine.title(),
        &state(machine, now),
        &percent(machine.cpu()),
        &rate(disk.map(|(read, _)| read)),
        &rate(disk.map(|(_, written)| written)),
        machine.last_event().unwrap_or(""),
    ];
    cells_of(cells, width)
}

fn cells(texts: [&str; 7], width: usize) -> Vec<String> {
    cells_of(texts, width)
}

/// Numbers to the right, texts to the left.
fn cells_of(texts: [&str; 7], width: usize) -> Vec<String> {
    let [place, name, state, cpu, read, written, event] = texts;
    let number = |text: &str, width: usize| fit(&format!("{text:>0$}", width - 1), width);
    let mut cells = vec![fit(place, 3)];
    if width < WIDE {
        cells.extend([fit(name, 14), fit(state, 17), number(cpu, 6)]);
        return cells;
    }
    let rest = width - WIDE;
    let name_width = 16 + rest / 4;
    cells.extend([
        fit(name, name_width),
        fit(state, 17),
        number(cpu, 6),
        number(read, 12),
        number(written, 12),
        fit(event, width - name_width - 50),
    ]);
    cells
}
