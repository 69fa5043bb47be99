//! From what was typed to what it means together: defaults, checks across
//! options, and the machine's limits.

use super::config::{Config, Firmware, LogConfig};
use super::error::{Error, Result};
use super::low::LowArgs;
use super::{chardev, cpu, drive, machine, monitor, net, object, process, sizing};

/// Makes a [`Config`] of the options. Faults are reported in the order in
/// which QEMU meets them, so that the first message is the same.
pub(crate) fn resolve(low: &mut LowArgs) -> Result<Config> {
    let mut machine = machine::resolve(&low.machine)?;
    machine.smp.append(&mut low.smp);
    machine.boot.append(&mut low.boot);
    let rtc = process::resolve_rtc(&low.rtc, &mut low.warnings)?;
    let accel = machine::resolve_accel(&machine, low)?;
    let smp = sizing::resolve_smp(&machine.smp, machine.config.kind)?;
    let memory = sizing::resolve_memory(&low.memory, &machine.memory)?;
    let kernel = low.kernel.take().or(machine.kernel).map(Into::into);
    let initrd = low.initrd.take().or(machine.initrd).map(Into::into);
    let append = low.append.take().or(machine.append);
    if kernel.is_none() {
        check_no_kernel(initrd.is_some(), append.is_some())?;
    }
    let mut config = Config {
        smp,
        memory,
        cpu: cpu::resolve(low.cpu.as_deref())?,
        accel,
        objects: Vec::new(),
        netdevs: Vec::new(),
        nics: Vec::new(),
        blockdevs: Vec::new(),
        drives: Vec::new(),
        devices: Vec::new(),
        chardevs: Vec::new(),
        monitors: Vec::new(),
        serials: Vec::new(),
        firmware: firmware(low.bios.take().or(machine.firmware)),
        kernel,
        initrd,
        append,
        dtb: low.dtb.take().or(machine.dtb).map(Into::into),
        name: low.name.string("guest"),
        process_name: low.name.string("process"),
        debug_threads: low.name.boolean("debug-threads")?.unwrap_or(false),
        uuid: low.uuid,
        start_paused: low.start_paused,
        preconfig: low.preconfig,
        actions: low.actions,
        rtc,
        boot: process::resolve_boot(&machine.boot)?,
        fds: low
            .fds
            .iter()
            .map(process::resolve_fd)
            .collect::<Result<_>>()?,
        fw_cfg: std::mem::take(&mut low.fw_cfg),
        nographic: low.nographic,
        globals: Vec::new(),
        qtest: None,
        qtest_log: low.qtest_log.take().map(Into::into),
        pidfile: low.pidfile.take().map(Into::into),
        daemonize: low.daemonize,
        log: LogConfig {
            items: std::mem::take(&mut low.log_items),
            file: low.log_file.take().map(Into::into),
        },
        messages: process::resolve_messages(&low.messages)?,
        data_dirs: std::mem::take(&mut low.data_dirs),
        embedded_default: false,
        machine: machine.config,
    };
    for params in &low.chardevs {
        monitor::add_chardev(&mut config, chardev::resolve(params)?)?;
    }
    if low.nographic && low.daemonize {
        return Err(Error::new("-nographic cannot be used with -daemonize"));
    }
    monitor::resolve(low, &mut config)?;
    object::resolve(low, &mut config)?;
    drive::resolve(low, &mut config)?;
    net::resolve(low, &mut config);
    Ok(config)
}

fn firmware(bios: Option<String>) -> Firmware {
    match bios.as_deref() {
        None | Some("default") => Firmware::Default,
        Some("none") => Firmware::None,
        Some(path) => Firmware::File(path.into()),
    }
}

/// Both of these say something to the kernel.
fn check_no_kernel(initrd: bool, append: bool) -> Result<()> {
    match (append, initrd) {
        (true, _) => Err(Error::new("-append only allowed with -kernel option")),
        (_, true) => Err(Error::new("-initrd only allowed with -kernel option")),
        _ => Ok(()),
    }
}
