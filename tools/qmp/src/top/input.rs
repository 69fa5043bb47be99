//! Keys, and what they do to what is shown.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// The longest command that can be typed.
const LONGEST: usize = 1024;

/// What is shown, as chosen by keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// The chosen machine.
    pub(crate) selected: usize,
    /// It alone is shown, not the table of all.
    pub(crate) detail: bool,
    /// How many lines above the last one the list of events ends.
    pub(crate) scroll: usize,
    /// The command that is being typed, if one is.
    pub(crate) typed: Option<String>,
    /// The help is shown instead.
    pub(crate) help: bool,
}

/// What a key asks of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Quit,
    /// Run this on the chosen machine.
    Run(String),
}

impl View {
    /// The first view of so many machines: of one, its details.
    pub(crate) fn new(machines: usize) -> Self {
        Self {
            detail: machines == 1,
            ..Self::default()
        }
    }

    /// Takes what a terminal tells, while `machines` are under watch and the
    /// list of events has `lines`.
    pub(crate) fn take(&mut self, event: &Event, machines: usize, lines: usize) -> Effect {
        let Event::Key(key) = event else {
            return Effect::None;
        };
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.control(key);
        }
        let effect = match self.typed {
            Some(_) => self.edit(key.code),
            None if self.help => {
                self.help = false;
                Effect::None
            }
            None => self.command(key.code, machines),
        };
        self.scroll = self.scroll.min(lines.saturating_sub(1));
        effect
    }

    fn control(&mut self, key: &KeyEvent) -> Effect {
        match (key.code, &mut self.typed) {
            (KeyCode::Char('c'), None) => return Effect::Quit,
            (KeyCode::Char('c'), typed) => *typed = None,
            (KeyCode::Char('u'), Some(typed)) => typed.clear(),
            _ => {}
        }
        Effect::None
    }

    fn edit(&mut self, key: KeyCode) -> Effect {
        let Some(typed) = &mut self.typed else {
            return Effect::None;
        };
        match key {
            KeyCode::Char(char) if typed.len() < LONGEST => typed.push(char),
            KeyCode::Backspace if typed.pop().is_none() => self.typed = None,
            KeyCode::Esc => self.typed = None,
            KeyCode::Enter => {
                let line = self.typed.take().unwrap_or_default();
                self.scroll = 0;
                if !line.trim().is_empty() {
                    return Effect::Run(line.trim().to_owned());
                }
            }
            _ => {}
        }
        Effect::None
    }

    fn command(&mut self, key: KeyCode, machines: usize) -> Effect {
        match key {
            KeyCode::Char('q') => return Effect::Quit,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char(':') => self.typed = Some(String::new()),
            KeyCode::Char(digit @ '1'..='9') => {
                let place = digit as usize - '1' as usize;
                if place < machines {
                    self.select(place);
                    self.detail = true;
                }
            }
            KeyCode::Tab => self.select((self.selected + 1) % machines.max(1)),
            KeyCode::BackTab => {
                self.select((self.selected + machines.saturating_sub(1)) % machines.max(1))
            }
            KeyCode::Enter => self.detail = true,
            KeyCode::Esc => self.detail = machines == 1,
            KeyCode::Up | KeyCode::Char('k') if self.detail => self.scroll += 1,
            KeyCode::Down | KeyCode::Char('j') if self.detail => {
                self.scroll = self.scroll.saturating_sub(1);
            }
            KeyCode::Up | KeyCode::Char('k') => self.select(self.selected.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => {
                self.select((self.selected + 1).min(machines.saturating_sub(1)));
            }
            KeyCode::PageUp => self.scroll += 10,
            KeyCode::PageDown => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::Home => self.scroll = usize::MAX,
            KeyCode::End => self.scroll = 0,
            _ => {}
        }
        Effect::None
    }

    fn select(&mut self, machine: usize) {
        self.selected = machine;
        self.scroll = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Presses keys with three machines and 100 lines; the last effect.
    fn press(view: &mut View, keys: &[KeyCode]) -> Effect {
        let mut effect = Effect::None;
        for key in keys {
            let event = Event::Key(KeyEvent::new(*key, KeyModifiers::NONE));
            effect = view.take(&event, 3, 100);
        }
        effect
    }

    #[test]
    fn machines_are_chosen_by_arrow_tab_and_digit() {
        let check = |keys: &[KeyCode], selected: usize, detail: bool| {
            let mut view = View::new(3);
            assert_eq!(press(&mut view, keys), Effect::None);
            assert_eq!((view.selected, view.detail), (selected, detail), "{keys:?}");
        };
        check(&[], 0, false);
        check(&[KeyCode::Down, KeyCode::Down, KeyCode::Down], 2, false);
        check(&[KeyCode::Tab, KeyCode::Tab, KeyCode::Tab], 0, false);
        check(&[KeyCode::BackTab, KeyCode::Enter], 2, true);
        check(&[KeyCode::Char('3')], 2, true);
        check(&[KeyCode::Char('4')], 0, false);
        check(&[KeyCode::Char('2'), KeyCode::Esc], 1, false);
        assert!(View::new(1).detail);
    }

    #[test]
    fn events_scroll_no_further_than_there_are() {
        let check = |keys: &[KeyCode], scroll: usize| {
            let mut view = View::new(1);
            press(&mut view, keys);
            assert_eq!(view.scroll, scroll, "{keys:?}");
        };
        check(&[KeyCode::Up, KeyCode::PageUp], 11);
        check(&[KeyCode::PageUp, KeyCode::Down], 9);
        check(&[KeyCode::Home], 99);
        check(&[KeyCode::Home, KeyCode::End, KeyCode::Down], 0);
    }

    #[test]
    fn a_command_is_typed_after_a_colon() {
        let keys = |text: &str| text.chars().map(KeyCode::Char).collect::<Vec<_>>();
        let mut view = View::new(3);
        press(&mut view, &keys(":stopq"));
        assert_eq!(view.typed.as_deref(), Some("stopq"));
        let effect = press(&mut view, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!(effect, Effect::Run("stop".to_owned()));
        assert_eq!(view.typed, None);
        let effect = press(&mut view, &keys(":quit"));
        assert_eq!(effect, Effect::None);
        assert_eq!(press(&mut view, &[KeyCode::Esc]), Effect::None);
        assert_eq!(press(&mut view, &keys("q")), Effect::Quit);
    }

    #[test]
    fn control_c_leaves_the_command_first() {
        let mut view = View::new(1);
        press(&mut view, &[KeyCode::Char(':'), KeyCode::Char('x')]);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.take(&Event::Key(interrupt), 1, 0), Effect::None);
        assert_eq!(view.typed, None);
        assert_eq!(view.take(&Event::Key(interrupt), 1, 0), Effect::Quit);
    }
}
