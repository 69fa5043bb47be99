//! The options, one entry each. Parsing, `-help`, shell completion and
//! `query-command-line-options` all read this table.

use super::config::MonitorMode;
use super::error::{Origin, Result};
use super::low::LowArgs;
use super::params::{Group, Params};
use super::{
    accepted, chardev, cpu, drive, fw_cfg, help, machine, monitor, net, object, process,
    readconfig, sizing,
};
use tinamou_machine::run_state::{RebootAction, ShutdownAction};

/// One option.
#[derive(Debug)]
pub struct Opt {
    /// Its name without dashes.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// How its argument is written; `None` if it takes none.
    pub usage: Option<&'static str>,
    /// Where `-help` lists it.
    pub section: Section,
    /// What it does, for people.
    pub help: &'static str,
    /// Its parameters, if it has any that can be told.
    pub group: Option<&'static Group>,
    pub(crate) apply: Apply,
}

/// What to do when an option is met.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Apply {
    /// It has no argument.
    Flag(fn(&mut LowArgs)),
    /// Its argument is one text; the last one counts.
    Text(fn(&mut LowArgs) -> &mut Option<String>),
    /// Its argument has parameters, which add up.
    Params(fn(&mut LowArgs) -> &mut Params),
    /// Its argument has parameters, which stand for a thing each time.
    List(fn(&mut LowArgs) -> &mut Vec<Params>),
    /// Its argument is keyval, which adds up.
    Keyval(fn(&mut LowArgs) -> &mut Vec<(String, String)>),
    /// Its argument needs more than that.
    Custom(fn(&mut LowArgs, &str, &Origin) -> Result<()>),
}

/// The parts of `-help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What the machine is.
    Machine,
    /// What it starts with.
    Boot,
    /// Character devices and who talks through them.
    Character,
    /// Devices, and what there is none of.
    Devices,
    /// How it runs.
    Run,
    /// The process.
    Process,
}

impl Section {
    /// All of them, in the order of `-help`.
    pub const ALL: [Self; 6] = [
        Self::Machine,
        Self::Boot,
        Self::Character,
        Self::Devices,
        Self::Run,
        Self::Process,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Machine => "Machine",
            Self::Boot => "Kernel and firmware",
            Self::Character => "Monitors and character devices",
            Self::Devices => "Devices",
            Self::Run => "Running",
            Self::Process => "Process and messages",
        }
    }
}

/// The option called `name`, which has no dashes.
pub fn find(name: &str) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|opt| opt.name == name || opt.aliases.contains(&name))
}

/// What `query-command-line-options` describes: every option with parameters.
pub fn groups() -> impl Iterator<Item = &'static Group> {
    OPTIONS.iter().filter_map(|opt| opt.group)
}

const fn opt(section: Section, name: &'static str, help: &'static str, apply: Apply) -> Opt {
    Opt {
        name,
        aliases: &[],
        usage: None,
        section,
        help,
        group: None,
        apply,
    }
}

impl Opt {
    const fn usage(self, usage: &'static str) -> Self {
        Self {
            usage: Some(usage),
            ..self
        }
    }

    const fn alias(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn group(self, group: &'static Group) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }
}

/// All options, in the order of `-help`.
#[rustfmt::skip]
pub static OPTIONS: &[Opt] = &[
    opt(Section::Machine, "machine", "board to emulate and its properties; 'help' lists the boards",
        Apply::Custom(machine::read_machine))
        .alias(&["M"])
        .usage("[type=]NAME[,PROPERTY=VALUE...]")
        .group(&machine::GROUP),
    opt(Section::Machine, "m", "guest memory at start, in MiB or with a unit (default: 128M)",
        Apply::Params(|low| &mut low.memory))
        .usage("[size=]MEGS[,slots=N,maxmem=SIZE]")
        .group(&sizing::MEMORY),
    opt(Section::Machine, "smp", "number of CPUs and how they hang together (default: 1)",
        Apply::Keyval(|low| &mut low.smp))
        .usage("[[cpus=]N][,maxcpus=N][,sockets=N][,cores=N][,threads=N]")
        .group(&sizing::SMP),
    opt(Section::Machine, "cpu", "CPU model and its properties; 'help' lists the models",
        Apply::Custom(cpu::read))
        .usage("MODEL[,PROPERTY=VALUE...]"),
    opt(Section::Machine, "accel", "what executes the guest: tcg, or qtest for nothing at all",
        Apply::Custom(machine::read_accel))
        .usage("NAME[,PROPERTY=VALUE...]")
        .group(&machine::ACCEL),
    opt(Section::Machine, "enable-kvm", "there is no KVM",
        Apply::Flag(|low| low.accel.push(machine::kvm()))),
    opt(Section::Machine, "object", "make an object; 'help' lists the types",
        Apply::Custom(object::read_object))
        .usage("TYPE[,PROPERTY=VALUE...]")
        .group(&object::OBJECT),

    opt(Section::Boot, "bios", "firmware image; 'default' is the built-in SBI, 'none' is none",
        Apply::Text(|low| &mut low.bios)).usage("FILE"),
    opt(Section::Boot, "kernel", "kernel: ELF, Image, or either compressed with gzip",
        Apply::Text(|low| &mut low.kernel)).usage("FILE"),
    opt(Section::Boot, "initrd", "initial ramdisk for the kernel",
        Apply::Text(|low| &mut low.initrd)).usage("FILE"),
    opt(Section::Boot, "append", "command line for the kernel",
        Apply::Text(|low| &mut low.append)).usage("TEXT"),
    opt(Section::Boot, "dtb", "device tree to pass instead of the machine's own",
        Apply::Text(|low| &mut low.dtb)).usage("FILE"),
    opt(Section::Boot, "boot", "order of boot devices",
        Apply::Keyval(|low| &mut low.boot))
        .usage("[order=DRIVES][,once=DRIVES][,menu=on|off][,strict=on|off]")
        .group(&process::BOOT),
    opt(Section::Boot, "L", "look for firmware here, too; 'help' lists the places",
        Apply::Custom(process::read_data_dir)).usage("DIR"),

    opt(Section::Character, "chardev", "make a character device; 'help' lists the kinds",
        Apply::Custom(chardev::read))
        .usage("BACKEND,id=ID[,KEY=VALUE...]")
        .group(&chardev::GROUP),
    opt(Section::Character, "mon", "put a monitor on a character device",
        Apply::Custom(monitor::read_mon))
        .usage("[chardev=]ID[,mode=readline|control][,pretty=on|off]")
        .group(&monitor::GROUP),
    opt(Section::Character, "monitor",
        "human monitor on DEV, such as stdio, pty, unix:PATH,server=on or telnet:HOST:PORT,server=on",
        Apply::Custom(|low, dev, at| monitor::read_short(low, dev, at, MonitorMode::Readline, false)))
        .usage("DEV"),
    opt(Section::Character, "qmp", "QMP on DEV",
        Apply::Custom(|low, dev, at| monitor::read_short(low, dev, at, MonitorMode::Control, false)))
        .usage("DEV"),
    opt(Section::Character, "qmp-pretty", "the same, with JSON laid out for people",
        Apply::Custom(|low, dev, at| monitor::read_short(low, dev, at, MonitorMode::Control, true)))
        .usage("DEV"),
    opt(Section::Character, "serial",
        "connect the next serial port to DEV; mon:DEV shares it with the human monitor",
        Apply::Custom(monitor::read_serial)).usage("DEV"),
    opt(Section::Character, "nographic", "serial port and human monitor share the terminal",
        Apply::Flag(|low| low.nographic = true)),
    opt(Section::Character, "qtest", "let a test drive the machine over DEV",
        Apply::Custom(monitor::read_qtest)).usage("DEV"),
    opt(Section::Character, "qtest-log", "where to log what the test says; 'none' is nowhere",
        Apply::Text(|low| &mut low.qtest_log)).usage("FILE"),

    opt(Section::Devices, "nodefaults", "make nothing that was not asked for",
        Apply::Flag(|low| low.no_defaults = true)),
    opt(Section::Devices, "device", "add a device; 'help' lists the models",
        Apply::Custom(object::read_device))
        .usage("DRIVER[,PROPERTY=VALUE...]")
        .group(&object::DEVICE),
    opt(Section::Devices, "blockdev", "make a block node",
        Apply::Custom(drive::read_blockdev))
        .usage("[driver=]DRIVER[,node-name=NAME][,KEY=VALUE...]"),
    opt(Section::Devices, "drive", "open an image for a disk",
        Apply::Custom(drive::read_drive))
        .usage("[file=FILE][,if=none|virtio][,id=ID][,format=FORMAT][,KEY=VALUE...]")
        .group(&drive::DRIVE),
    opt(Section::Devices, "hda", "image of the first disk",
        Apply::Custom(|low, file, at| drive::read_image(low, file, 0, false, at))).usage("FILE"),
    opt(Section::Devices, "hdb", "image of the second disk",
        Apply::Custom(|low, file, at| drive::read_image(low, file, 1, false, at))).usage("FILE"),
    opt(Section::Devices, "hdc", "image of the third disk",
        Apply::Custom(|low, file, at| drive::read_image(low, file, 2, false, at))).usage("FILE"),
    opt(Section::Devices, "hdd", "image of the fourth disk",
        Apply::Custom(|low, file, at| drive::read_image(low, file, 3, false, at))).usage("FILE"),
    opt(Section::Devices, "cdrom", "image of a disk that cannot be written",
        Apply::Custom(|low, file, at| drive::read_image(low, file, 2, true, at))).usage("FILE"),
    opt(Section::Devices, "snapshot", "keep the writes to all drives in temporary files",
        Apply::Flag(drive::snapshot)),
    opt(Section::Devices, "global", "default of a property for all devices of a type",
        Apply::Custom(object::read_global))
        .usage("DRIVER.PROPERTY=VALUE")
        .group(&object::GLOBAL),
    opt(Section::Devices, "set", "one more parameter for a character device or device",
        Apply::Custom(object::read_set)).usage("GROUP.ID.KEY=VALUE"),
    opt(Section::Boot, "fw_cfg", "a file that firmware and kernel can read",
        Apply::Custom(fw_cfg::read))
        .usage("[name=]NAME,file=FILE|string=TEXT")
        .group(&fw_cfg::GROUP),
    opt(Section::Devices, "display", "there is no display",
        Apply::Custom(accepted::display)).usage("none"),
    opt(Section::Devices, "vga", "there is no graphics card",
        Apply::Custom(accepted::vga)).usage("none"),
    opt(Section::Devices, "parallel", "there is no parallel port",
        Apply::Custom(accepted::parallel)).usage("none"),
    opt(Section::Devices, "netdev", "make a network back end; 'help' lists the kinds",
        Apply::Custom(net::read_netdev))
        .usage("TYPE,id=ID[,PROPERTY=VALUE...]")
        .group(&net::GROUP),
    opt(Section::Devices, "nic", "make a network back end and a card on it",
        Apply::Custom(net::read_nic))
        .usage("TYPE[,model=MODEL][,mac=MAC][,PROPERTY=VALUE...]|none"),
    opt(Section::Devices, "net", "make a network back end or a card on hub 0",
        Apply::Custom(net::read_net))
        .usage("TYPE[,PROPERTY=VALUE...]|nic[,model=MODEL]|none"),

    opt(Section::Run, "S", "do not start the CPUs; the command 'cont' does",
        Apply::Flag(|low| low.start_paused = true)),
    opt(Section::Run, "preconfig", "wait for QMP before making the machine",
        Apply::Flag(|low| low.preconfig = true)),
    opt(Section::Run, "no-reboot", "shut down when the guest reboots",
        Apply::Flag(|low| low.actions.reboot = RebootAction::Shutdown)),
    opt(Section::Run, "no-shutdown", "stop instead of ending when the guest powers off",
        Apply::Flag(|low| low.actions.shutdown = ShutdownAction::Pause)),
    opt(Section::Run, "action", "what to do on reboot, shutdown, panic and watchdog",
        Apply::Custom(process::read_action))
        .usage("EVENT=ACTION[,...]")
        .group(&process::ACTION),
    opt(Section::Run, "watchdog-action",
        "when a watchdog fires: reset, shutdown, poweroff, pause, debug, none or inject-nmi",
        Apply::Custom(process::read_watchdog_action)).usage("ACTION"),
    opt(Section::Run, "rtc", "what the clock shows at start, and what makes it tick",
        Apply::Params(|low| &mut low.rtc))
        .usage("[base=utc|localtime|DATE][,clock=host|rt|vm]")
        .group(&process::RTC),
    opt(Section::Run, "incoming", "migration is not available yet",
        Apply::Custom(accepted::incoming)).usage("URI"),

    opt(Section::Process, "name", "name of the machine",
        Apply::Params(|low| &mut low.name))
        .usage("[guest=]NAME[,process=NAME][,debug-threads=on|off]")
        .group(&process::NAME),
    opt(Section::Process, "uuid", "UUID of the machine",
        Apply::Custom(process::read_uuid)).usage("UUID"),
    opt(Section::Process, "add-fd", "put an inherited descriptor into a set, to be opened as /dev/fdset/N",
        Apply::List(|low| &mut low.fds))
        .usage("fd=N,set=N[,opaque=TEXT]")
        .group(&process::ADD_FD),
    opt(Section::Process, "pidfile", "write the process id here",
        Apply::Text(|low| &mut low.pidfile)).usage("FILE"),
    opt(Section::Process, "daemonize", "go to the background when ready",
        Apply::Flag(|low| low.daemonize = true)),
    opt(Section::Process, "d", "what to log; 'help' lists the items",
        Apply::Custom(process::read_log_items)).usage("ITEM[,...]"),
    opt(Section::Process, "D", "where to log (default: standard error)",
        Apply::Text(|low| &mut low.log_file)).usage("FILE"),
    opt(Section::Process, "msg", "what messages begin with",
        Apply::Params(|low| &mut low.messages))
        .usage("[timestamp=on|off][,guest-name=on|off]")
        .group(&process::MSG),
    opt(Section::Process, "readconfig", "take options from a file",
        Apply::Custom(readconfig::read)).usage("FILE"),
    opt(Section::Process, "no-user-config", "accepted; no files are read unasked",
        Apply::Flag(|_| {})),
    opt(Section::Process, "sandbox", "there is no sandbox",
        Apply::Custom(accepted::sandbox))
        .usage("off")
        .group(&accepted::SANDBOX),
    opt(Section::Process, "version", "show the version and exit",
        Apply::Flag(|low| low.answer = Some(help::version(&low.program)))),
    opt(Section::Process, "help", "show this help and exit",
        Apply::Flag(|low| low.answer = Some(help::options(&low.program)))).alias(&["h"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_one_option() {
        let names: Vec<_> = OPTIONS
            .iter()
            .flat_map(|opt| opt.aliases.iter().chain([&opt.name]))
            .collect();
        let unique: HashSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
        assert_eq!(
            groups()
                .map(|group| group.name)
                .collect::<HashSet<_>>()
                .len(),
            groups().count()
        );
    }

    #[test]
    fn entries_are_whole() {
        for opt in OPTIONS {
            let flag = matches!(opt.apply, Apply::Flag(_));
            assert_eq!(opt.usage.is_none(), flag, "-{}: usage", opt.name);
            let parsed = matches!(
                opt.apply,
                Apply::Params(_) | Apply::List(_) | Apply::Keyval(_)
            );
            assert!(opt.group.is_some() || !parsed, "-{}: group", opt.name);
        }
    }

    #[test]
    fn parameters_are_named_once() {
        for group in groups() {
            let names: HashSet<_> = group.params.iter().map(|param| param.name).collect();
            assert_eq!(names.len(), group.params.len(), "{}", group.name);
            assert!(
                group
                    .implied
                    .is_none_or(|key| group.params.is_empty() || names.contains(key)),
                "{}",
                group.name
            );
        }
    }
}
