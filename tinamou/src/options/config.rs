//! What a command line asks for, as plain data: the result of parsing, and all
//! that the rest of the program needs to know of it.

use super::Origin;
use crate::devices::Request;
use std::path::PathBuf;
use std::time::Duration;
use tinamou_api::ObjectOptions;
use tinamou_block::Policies;
use tinamou_block::throttle::Limits;
use tinamou_hart::Isa;
use tinamou_machine::config::Aia;
use tinamou_machine::run_state::Actions;
use tinamou_qmp::Object;

/// A machine with everything around it, ready to be built.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `-machine`
    pub machine: MachineConfig,
    /// `-m`
    pub memory: MemoryConfig,
    /// `-smp`
    pub smp: Topology,
    /// `-cpu`
    pub cpu: CpuConfig,
    /// `-accel`
    pub accel: Accel,
    /// `-object`, in order.
    pub objects: Vec<ObjectConfig>,
    /// `-netdev`, and what `-nic` and `-net` imply, in order.
    pub netdevs: Vec<NetdevConfig>,
    /// The cards that `-nic` and `-net` ask for.
    pub nics: Vec<NicConfig>,
    /// `-blockdev`, in order.
    pub blockdevs: Vec<BlockdevConfig>,
    /// `-drive` and its short forms, in order.
    pub drives: Vec<DriveConfig>,
    /// `-device`, in order.
    pub devices: Vec<DeviceConfig>,
    /// `-chardev`, then those that other options imply, in order of creation.
    pub chardevs: Vec<ChardevConfig>,
    /// Monitors in the order they were asked for.
    pub monitors: Vec<MonitorConfig>,
    /// What each serial port is connected to, by chardev id.
    pub serials: Vec<Option<String>>,
    /// `-bios`
    pub firmware: Firmware,
    /// `-kernel`
    pub kernel: Option<PathBuf>,
    /// `-initrd`
    pub initrd: Option<PathBuf>,
    /// `-append`
    pub append: Option<String>,
    /// `-dtb`
    pub dtb: Option<PathBuf>,
    /// `-name guest=`
    pub name: Option<String>,
    /// `-name process=`
    pub process_name: Option<String>,
    /// `-name debug-threads=`: name the threads after what they do.
    pub debug_threads: bool,
    /// `-uuid`
    pub uuid: Option<[u8; 16]>,
    /// `-S`: do not start the virtual CPUs.
    pub start_paused: bool,
    /// `-preconfig`: wait for `x-exit-preconfig`.
    pub preconfig: bool,
    /// `-action`, `-no-reboot`, `-no-shutdown`, `-watchdog-action`
    pub actions: Actions,
    /// `-rtc`
    pub rtc: RtcConfig,
    /// `-boot`
    pub boot: BootConfig,
    /// `-fw_cfg`, in order.
    pub fw_cfg: Vec<FwCfgFile>,
    /// `-nographic`
    pub nographic: bool,
    /// `-add-fd`, in order.
    pub fds: Vec<PassedFd>,
    /// `-global`, in order.
    pub globals: Vec<Global>,
    /// `-qtest`: id of the chardev.
    pub qtest: Option<String>,
    /// `-qtest-log`
    pub qtest_log: Option<PathBuf>,
    /// `-pidfile`
    pub pidfile: Option<PathBuf>,
    /// `-daemonize`
    pub daemonize: bool,
    /// `-d`, `-D`
    pub log: LogConfig,
    /// `-msg`
    pub messages: MessageConfig,
    /// `-L`: where to look for firmware and the like, in order.
    pub data_dirs: Vec<PathBuf>,
    /// The embedded default is in force: nothing was said about monitors and
    /// consoles, so there is one of each, and the user should be told.
    pub embedded_default: bool,
}

/// The kinds of machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineKind {
    /// No devices at all.
    None,
    /// The RISC-V board made for virtual machines.
    #[default]
    Virt,
}

impl MachineKind {
    /// Its name on the command line and in `query-machines`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Virt => "virt",
        }
    }

    /// Whether there is a serial port on it.
    pub fn has_serial(self) -> bool {
        self == Self::Virt
    }
}

/// `-machine`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineConfig {
    /// The board.
    pub kind: MachineKind,
    /// Write the device tree here and exit.
    pub dumpdtb: Option<PathBuf>,
    /// Id of the object that is the main memory.
    pub memory_backend: Option<String>,
    /// Include guest memory in core dumps.
    pub dump_guest_core: Option<bool>,
    /// Let the host merge equal pages.
    pub mem_merge: Option<bool>,
    /// A power button that `system_powerdown` presses and the guest can see.
    /// Unsaid, the embedded default has one, for its guest obeys it.
    pub power_button: Option<bool>,
    /// The advanced interrupt architecture, and how much of it.
    pub aia: Aia,
    /// ACLINT devices in place of the CLINT.
    pub aclint: bool,
}

/// `-m`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Bytes at start.
    pub size: u64,
    /// Slots for memory added later.
    pub slots: u64,
    /// Bytes at most, with memory added later.
    pub max_size: u64,
}

/// `-smp`, with what was left out filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// CPUs at start.
    pub cpus: u64,
    /// CPUs at most.
    pub max_cpus: u64,
    /// Sockets on the board.
    pub sockets: u64,
    /// Cores in a socket.
    pub cores: u64,
    /// Threads in a core.
    pub threads: u64,
}

/// `-cpu`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuConfig {
    /// The model.
    pub model: String,
    /// What it can do.
    pub isa: Isa,
}

/// `-accel`: what executes the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// The hart's own engine.
    #[default]
    Tcg,
    /// Nothing: a test drives the devices.
    Qtest,
}

impl Accel {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Qtest => "qtest",
        }
    }
}

/// `-object`
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectConfig {
    /// The object.
    pub options: ObjectOptions,
    /// Where it was asked for.
    pub origin: Origin,
}

/// `-device`
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceConfig {
    /// The device.
    pub request: Request,
    /// Where it was asked for.
    pub origin: Origin,
}

/// `-netdev`
#[derive(Clone, Debug, PartialEq)]
pub struct NetdevConfig {
    /// What it says, by member.
    pub members: Object,
    /// Whether it was said in JSON, where numbers are numbers.
    pub json: bool,
    /// Where it was asked for.
    pub origin: Origin,
}

/// A card of `-nic` or `-net nic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicConfig {
    /// The back end it is connected to.
    pub netdev: String,
    /// The kind of card.
    pub model: Option<String>,
    /// Its address.
    pub mac: Option<String>,
    /// Where it was asked for.
    pub origin: Origin,
}

/// `-blockdev`
#[derive(Clone, Debug, PartialEq)]
pub struct BlockdevConfig {
    /// The options as they were written.
    pub members: Object,
    /// They were written in JSON, with its types.
    pub json: bool,
    /// Where it was asked for.
    pub origin: Origin,
}

/// What uses a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveInterface {
    /// Whatever device names it.
    None,
    /// A virtio disk made for it.
    Virtio,
}

impl DriveInterface {
    /// Its name on the command line, with which ids begin.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Virtio => "virtio",
        }
    }
}

/// `-drive`
#[derive(Clone, Debug, PartialEq)]
pub struct DriveConfig {
    /// `if=`
    pub interface: DriveInterface,
    /// `index=`
    pub index: usize,
    /// `id=`
    pub id: String,
    /// `media=cdrom`
    pub cdrom: bool,
    /// `file=`
    pub file: Option<String>,
    /// `format=`, found by looking at the image if it is not given.
    pub format: Option<String>,
    /// `snapshot=`: writes go to a temporary file.
    pub snapshot: bool,
    /// `readonly=`
    pub read_only: bool,
    /// `copy-on-read=`
    pub copy_on_read: bool,
    /// `cache.writeback=`
    pub write_cache: bool,
    /// `rerror=`, `werror=`
    pub policies: Policies,
    /// `throttling.*`
    pub limits: Limits,
    /// `throttling.group=`
    pub group: Option<String>,
    /// `stats-account-invalid=`
    pub account_invalid: bool,
    /// `stats-account-failed=`
    pub account_failed: bool,
    /// `stats-intervals=`
    pub intervals: Vec<u32>,
    /// What else is said of the image.
    pub options: Object,
    /// Where it was asked for.
    pub origin: Origin,
}

/// A character device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChardevConfig {
    /// Its id (`label` in `query-chardev`).
    pub id: String,
    /// What is behind it.
    pub backend: ChardevBackend,
    /// Let several users share it, switched with Ctrl-A c.
    pub mux: bool,
    /// Copy everything written to it into this file.
    pub logfile: Option<PathBuf>,
    /// Add to the log file instead of starting it over.
    pub logappend: bool,
    /// Where it was asked for.
    pub origin: Origin,
}

/// The kinds of character device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChardevBackend {
    /// Swallows everything.
    Null,
    /// Keeps the newest bytes in memory.
    Ringbuf {
        /// Capacity, a power of two.
        size: u64,
    },
    /// Standard input and output.
    Stdio {
        /// Let Ctrl-C raise SIGINT; unsaid, that depends on `-nographic`.
        signal: Option<bool>,
    },
    /// A new pseudo-terminal.
    Pty {
        /// Symbolic link to make to it.
        path: Option<PathBuf>,
    },
    /// Output to a file.
    File {
        /// Output.
        out: PathBuf,
        /// Input, if any.
        input: Option<PathBuf>,
        /// Add to the file instead of starting it over.
        append: bool,
    },
    /// A pair of named pipes, or one for both directions.
    Pipe {
        /// Path without `.in` and `.out`.
        path: PathBuf,
    },
    /// A stream socket.
    Socket(SocketConfig),
    /// Datagrams to and from one peer.
    Udp {
        /// Where output is sent.
        remote: InetAddress,
        /// What is bound; any free port unless given.
        local: Option<InetAddress>,
    },
    /// A terminal device of the host.
    Serial {
        /// Its path.
        path: PathBuf,
    },
    /// Joins other character devices.
    Hub {
        /// Their ids.
        chardevs: Vec<String>,
    },
    /// Shares another character device.
    Mux {
        /// Its id.
        chardev: String,
    },
}

/// A stream socket and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// Where to connect or listen.
    pub address: SocketAddress,
    /// Listen instead of connecting.
    pub server: bool,
    /// As a server, hold up the start until a client is there.
    pub wait: bool,
    /// Send small packets at once.
    pub nodelay: bool,
    /// Speak telnet.
    pub telnet: bool,
    /// Speak websocket.
    pub websocket: bool,
    /// Id of the TLS credentials.
    pub tls: Option<String>,
    /// The object that decides which clients may connect.
    pub tls_authz: Option<String>,
    /// As a client, try again after this long; zero is never.
    pub reconnect: Duration,
    /// As a server, how many clients at once; `None` is no limit.
    pub max_clients: Option<u64>,
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAddress {
    /// TCP
    Inet(InetAddress),
    /// A Unix socket.
    Unix {
        /// Path or abstract name.
        path: String,
        /// The name is in the abstract namespace.
        is_abstract: bool,
        /// An abstract name is not padded with zero bytes.
        tight: bool,
    },
    /// A descriptor that is open already: a number, or a name given to `getfd`.
    Fd(String),
}

/// An Internet address to resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InetAddress {
    /// Name or address; empty is any.
    pub host: String,
    /// Number or service name.
    pub port: String,
    /// As a server, the last port to try.
    pub to: Option<u16>,
    /// Whether IPv4 may be used.
    pub ipv4: Option<bool>,
    /// Whether IPv6 may be used.
    pub ipv6: Option<bool>,
}

/// A monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorConfig {
    /// Id of the character device it talks through.
    pub chardev: String,
    /// What it speaks.
    pub mode: MonitorMode,
    /// Write JSON over several lines.
    pub pretty: bool,
    /// Where it was asked for.
    pub origin: Origin,
}

/// What a monitor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonitorMode {
    /// QMP.
    Control,
    /// The human monitor.
    Readline,
}

/// `-bios`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Firmware {
    /// The built-in SBI.
    #[default]
    Default,
    /// None: the first instruction is the kernel's.
    None,
    /// An image.
    File(PathBuf),
}

/// `-rtc`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtcConfig {
    /// What it shows at start.
    pub base: RtcBase,
    /// What makes it tick.
    pub clock: RtcClock,
}

/// `-rtc base=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtcBase {
    /// The time of day in UTC.
    #[default]
    Utc,
    /// The time of day in the host's time zone.
    Localtime,
    /// A fixed time: seconds since 1970 in UTC.
    Fixed(i64),
}

/// `-rtc clock=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtcClock {
    /// The host's clock, jumps included.
    #[default]
    Host,
    /// The host's monotonic clock.
    Rt,
    /// The machine's own time, which stands still while it is stopped.
    Vm,
}

/// `-boot`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootConfig {
    /// Drive letters to try, in order.
    pub order: Option<String>,
    /// The same for the first start only.
    pub once: Option<String>,
    /// Offer a menu.
    pub menu: Option<bool>,
    /// Try nothing else.
    pub strict: Option<bool>,
    /// The picture that firmware shows.
    pub splash: Option<PathBuf>,
    /// Milliseconds for which it does.
    pub splash_time: Option<i64>,
    /// Milliseconds after which firmware that found nothing to start starts over.
    pub reboot_timeout: Option<i64>,
}

/// `-fw_cfg`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FwCfgFile {
    /// What the guest calls it.
    pub name: String,
    /// Where its content comes from.
    pub content: FwCfgContent,
    /// Where it was asked for.
    pub origin: Origin,
}

/// The content of a file for the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FwCfgContent {
    /// This.
    Text(String),
    /// What is in a file.
    File(PathBuf),
    /// What an object makes.
    Object(String),
}

/// `-add-fd`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedFd {
    /// The inherited descriptor.
    pub fd: i32,
    /// The set it goes into.
    pub set: i64,
    /// Text kept with it.
    pub opaque: Option<String>,
    /// Where it was asked for.
    pub origin: Origin,
}

/// `-global`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// The type of device or object.
    pub driver: String,
    /// Its property.
    pub property: String,
    /// The value it starts with.
    pub value: String,
}

/// `-d`, `-D`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// What to log.
    pub items: Vec<&'static str>,
    /// Where to; standard error by default.
    pub file: Option<PathBuf>,
}

/// `-msg`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageConfig {
    /// Begin messages with the time.
    pub timestamp: bool,
    /// Begin messages with the machine's name.
    pub guest_name: bool,
}
