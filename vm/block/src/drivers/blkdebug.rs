//! `blkdebug`: lets chosen requests fail, for tests of what is above.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use tinamou_api as api;
use tinamou_api::{BlkdebugEvent as Event, BlkdebugIOType as Kind};

use crate::driver::{Driver, Extent, Io, Zeroes};
use crate::node::Edge;

/// What is to fail, and when.
#[derive(Clone, Debug)]
pub struct InjectError {
    /// The rule is in force after this.
    pub event: Event,
    /// Only in this state.
    pub state: Option<i64>,
    /// Only requests of this kind.
    pub kind: Option<Kind>,
    /// The host's number for the error.
    pub errno: i32,
    /// Only requests that touch this sector.
    pub sector: Option<u64>,
    /// Only the first time.
    pub once: bool,
}

/// A change of state.
#[derive(Clone, Copy, Debug)]
pub struct SetState {
    /// When.
    pub event: Event,
    /// Only in this state.
    pub state: Option<i64>,
    /// The state to change to; 0 leaves it.
    pub new_state: i64,
}

/// The filter.
#[derive(Debug)]
pub struct Blkdebug {
    image: Edge,
    rules: Mutex<Rules>,
}

#[derive(Debug)]
struct Rules {
    errors: Vec<InjectError>,
    states: Vec<SetState>,
    state: i64,
    /// Indices of the rules in force.
    active: Vec<usize>,
}

impl Blkdebug {
    /// Lets requests to `image` fail.
    pub fn new(image: Edge, errors: Vec<InjectError>, states: Vec<SetState>) -> Self {
        let mut rules = Rules {
            errors,
            states,
            state: 1,
            active: Vec::new(),
        };
        rules.event(Event::None);
        Self {
            image,
            rules: Mutex::new(rules),
        }
    }

    fn pass(&self, events: &[Event], kind: Kind, range: Range<u64>) -> io::Result<()> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            rules.event(*event);
        }
        rules.check(kind, range)
    }
}

impl Rules {
    fn event(&mut self, event: Event) {
        let here = |state: Option<i64>| state.is_none_or(|state| state == self.state);
        let hit = |rule: &InjectError| rule.event == event && here(rule.state);
        let errors = self.errors.iter().enumerate();
        let active: Vec<usize> = errors
            .filter(|(_, rule)| hit(rule))
            .map(|(index, _)| index)
            .collect();
        let change = self
            .states
            .iter()
            .find(|rule| rule.event == event && here(rule.state));
        if let Some(change) = change.filter(|change| change.new_state != 0) {
            self.state = change.new_state;
        }
        if !active.is_empty() {
            self.active = active;
        }
    }

    fn check(&mut self, kind: Kind, range: Range<u64>) -> io::Result<()> {
        let touches = |rule: &InjectError| {
            rule.sector.is_none_or(|sector| {
                let start = sector.saturating_mul(512);
                range.start <= start && start < range.end
            })
        };
        let matches = |rule: &InjectError| match rule.kind {
            Some(wanted) => wanted == kind,
            None => kind != Kind::BlockStatus,
        };
        let hit = self.active.iter().position(|index| {
            let rule = &self.errors[*index];
            matches(rule) && touches(rule) && rule.errno != 0
        });
        let Some(position) = hit else { return Ok(()) };
        let rule = &mut self.errors[self.active[position]];
        let errno = rule.errno;
        if rule.once {
            rule.errno = 0;
        }
        Err(io::Error::from_raw_os_error(errno))
    }
}

impl Driver for Blkdebug {
    fn name(&self) -> &'static str {
        "blkdebug"
    }

    fn size(&self) -> u64 {
        self.image.size()
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> Io<'a> {
        Box::pin(async move {
            let range = offset..offset + buffer.len() as u64;
            self.pass(&[Event::ReadAio], Kind::Read, range)?;
            self.image.read(offset, buffer).await
        })
    }

    fn write<'a>(&'a self, offset: u64, data: &'a [u8]) -> Io<'a> {
        Box::pin(async move {
            let range = offset..offset + data.len() as u64;
            self.pass(
                &[Event::WriteAio, Event::Pwritev],
                Kind::Write,
                range.clone(),
            )?;
            self.image.write(offset, data).await?;
            self.rules
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .event(Event::PwritevDone);
            Ok(())
        })
    }

    fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Io<'_> {
        Box::pin(async move {
            self.pass(&[Event::PwritevZero], Kind::WriteZeroes, range.clone())?;
            self.image.write_zeroes(range, how).await
        })
    }

    fn discard(&self, range: Range<u64>) -> Io<'_> {
        Box::pin(async move {
            self.pass(&[], Kind::Discard, range.clone())?;
            self.image.discard(range).await
        })
    }

    fn flush(&self) -> Io<'_> {
        Box::pin(async move {
            self.pass(
                &[Event::FlushToOs, Event::FlushToDisk],
                Kind::Flush,
                0..u64::MAX,
            )?;
            self.image.flush().await
        })
    }

    fn resize(&self, size: u64) -> Io<'_> {
        Box::pin(self.image.resize(size))
    }

    fn grows(&self) -> bool {
        self.image.grows()
    }

    fn extent(&self, range: Range<u64>) -> Io<'_, Extent> {
        Box::pin(async move {
            self.pass(&[], Kind::BlockStatus, range.clone())?;
            self.image.extent(range).await
        })
    }

    fn children(&self) -> Vec<&Edge> {
        vec![&self.image]
    }

    /// It shows nothing of the image below.
    fn describe(&self, _: &mut api::BlockNodeInfo) {}

    fn filename(&self) -> String {
        format!("blkdebug::{}", self.image.filename())
    }
}
