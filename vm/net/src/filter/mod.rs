//! Filters: what sits on the cable of a back end and sees its frames pass.

mod pcap;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::cable::Side;
use crate::error::Result;
use crate::frame::Frame;
use crate::network::Network;
use pcap::Pcap;

/// What a `filter-dump` is made from.
#[derive(Clone, Debug)]
pub struct DumpConfig {
    /// Its id.
    pub id: String,
    /// The back end whose frames it sees.
    pub netdev: String,
    /// Which of them.
    pub direction: Direction,
    /// Whether it sees any now.
    pub enabled: bool,
    /// Where among the filters of the back end.
    pub position: Position,
    /// Before the filter that the position names, rather than behind it.
    pub before: bool,
    /// The file; what it held is lost.
    pub file: PathBuf,
    /// Bytes kept of each frame at most.
    pub max_length: u32,
}

/// Which frames a filter sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// All.
    All,
    /// Those that the back end receives.
    Rx,
    /// Those that it sends.
    Tx,
}

impl Direction {
    const LIST: [Self; 3] = [Self::All, Self::Rx, Self::Tx];

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Rx => "rx",
            Self::Tx => "tx",
        }
    }
}

/// Where a filter is among those of its back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// First.
    Head,
    /// Last.
    Tail,
    /// Next to the filter of that id.
    NextTo(String),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Tail => f.write_str("tail"),
            Self::NextTo(id) => write!(f, "id={id}"),
        }
    }
}

/// A filter that writes frames to a file.
#[derive(Debug)]
pub(crate) struct Dump {
    config: DumpConfig,
    /// An index into [`Direction::LIST`].
    direction: AtomicU8,
    enabled: AtomicBool,
    pcap: Pcap,
}

impl Dump {
    /// Begins the file.
    pub(crate) fn open(config: DumpConfig) -> Result<Self> {
        Ok(Self {
            direction: AtomicU8::new(config.direction as u8),
            enabled: AtomicBool::new(config.enabled),
            pcap: Pcap::create(&config.file, config.max_length)?,
            config,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.config.id
    }

    /// A frame passes that was sent from that side.
    pub(crate) fn see(&self, sender: Side, frame: &Frame) {
        let wanted = match self.direction() {
            Direction::All => true,
            Direction::Rx => sender == Side::Nic,
            Direction::Tx => sender == Side::Backend,
        };
        if wanted && self.enabled.load(Ordering::Relaxed) {
            self.pcap.write(frame);
        }
    }

    fn direction(&self) -> Direction {
        Direction::LIST[usize::from(self.direction.load(Ordering::Relaxed))]
    }

    /// One line about it, as `info network` has it.
    pub(crate) fn describe(&self) -> String {
        let config = &self.config;
        let file = config.file.display();
        let status = match self.enabled.load(Ordering::Relaxed) {
            true => "on",
            false => "off",
        };
        let insert = if config.before { "before" } else { "behind" };
        let (id, length, position) = (&config.id, config.max_length, &config.position);
        let (netdev, queue) = (&config.netdev, self.direction().name());
        format!(
            "{id}: type=filter-dump,file={file},maxlen={length},position={position},\
             status={status},insert={insert},netdev={netdev},queue={queue}"
        )
    }
}

/// A filter in its place. Dropping it takes it away.
#[derive(Debug)]
pub struct Filter {
    pub(crate) network: Network,
    pub(crate) dump: Arc<Dump>,
}

impl Filter {
    /// What it was made from.
    pub fn config(&self) -> &DumpConfig {
        &self.dump.config
    }

    /// Which frames it sees now.
    pub fn direction(&self) -> Direction {
        self.dump.direction()
    }

    /// Lets it see other frames.
    pub fn set_direction(&self, direction: Direction) {
        let direction = direction as u8;
        self.dump.direction.store(direction, Ordering::Relaxed);
    }

    /// Whether it sees any.
    pub fn is_enabled(&self) -> bool {
        self.dump.enabled.load(Ordering::Relaxed)
    }

    /// Turns it on or off.
    pub fn enable(&self, on: bool) {
        self.dump.enabled.store(on, Ordering::Relaxed);
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        self.network.remove_filter(&self.dump);
    }
}
