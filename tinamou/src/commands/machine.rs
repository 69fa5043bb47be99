//! `machine.json` and `machine-target.json`: the machine, its CPUs and memory.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_qmp::{Error, Result};

use crate::fds::{FDSET_PREFIX, Fds};
use crate::options::config::MachineKind;
use crate::options::{CPUS, max_cpus};
use crate::vm::{Shared, Vm, machine_error};

/// Memory is saved in pieces of this size.
const PIECE: usize = 1 << 16;

/// `query-cpus-fast`
pub fn query_cpus_fast(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::CpuInfoFast>> {
    let cpu = |(index, thread_id): (usize, i64)| api::CpuInfoFast {
        cpu_index: index as i64,
        qom_path: format!("/machine/soc0/harts[{index}]"),
        thread_id,
        props: Some(api::CpuInstanceProperties {
            node_id: None,
            drawer_id: None,
            book_id: None,
            socket_id: None,
            die_id: None,
            cluster_id: None,
            module_id: None,
            core_id: Some(index as i64),
            thread_id: None,
        }),
        branch: api::CpuInfoFastBranch::Riscv64,
    };
    Ok(vm.machine.thread_ids().enumerate().map(cpu).collect())
}

/// `query-machines`
pub fn query_machines(_: &Shared, _: api::QueryMachinesArguments) -> Result<Vec<api::MachineInfo>> {
    Ok([MachineKind::None, MachineKind::Virt]
        .into_iter()
        .map(machine_info)
        .collect())
}

fn machine_info(kind: MachineKind) -> api::MachineInfo {
    let is_virt = kind == MachineKind::Virt;
    api::MachineInfo {
        name: kind.name().into(),
        alias: None,
        is_default: is_virt.then_some(true),
        cpu_max: max_cpus(kind) as i64,
        hotpluggable_cpus: false,
        numa_mem_supported: false,
        deprecated: false,
        default_cpu_type: is_virt.then(|| "rv64-riscv-cpu".into()),
        default_ram_id: Some(
            if is_virt {
                "riscv_virt_board.ram"
            } else {
                "ram"
            }
            .into(),
        ),
        acpi: false,
        compat_props: None,
    }
}

/// `query-target`
pub fn query_target(_: &Shared, (): ()) -> Result<api::TargetInfo> {
    Ok(api::TargetInfo {
        arch: api::SysEmuTarget::Riscv64,
    })
}

/// `query-uuid`
pub fn query_uuid(shared: &Shared, (): ()) -> Result<api::UuidInfo> {
    Ok(api::UuidInfo {
        uuid: uuid_text(&shared.uuid),
    })
}

/// A UUID as text.
pub fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut text: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

/// `system_reset`
pub fn system_reset(vm: &mut Vm, _: &mut Call, (): ()) -> Result<api::Empty> {
    vm.system_reset();
    Ok(api::Empty {})
}

/// `system_powerdown`
pub fn system_powerdown(vm: &mut Vm, _: &mut Call, (): ()) -> Result<api::Empty> {
    vm.machine.power_down();
    Ok(api::Empty {})
}

/// `system_wakeup`: the board has no way to sleep, hence none to be woken.
pub fn system_wakeup(_: &Shared, (): ()) -> Result<api::Empty> {
    Err(Error::generic(
        "wake-up from suspend is not supported by this guest",
    ))
}

/// `inject-nmi`: the board has no NMI.
pub fn inject_nmi(_: &Shared, (): ()) -> Result<api::Empty> {
    Err(Error::generic("machine does not provide NMIs"))
}

/// `query-kvm`
pub fn query_kvm(_: &Shared, (): ()) -> Result<api::KvmInfo> {
    Ok(api::KvmInfo {
        enabled: false,
        present: false,
    })
}

/// `memsave`
pub fn memsave(vm: &mut Vm, _: &mut Call, args: api::MemsaveArguments) -> Result<api::Empty> {
    let cpu = vm.cpu_index(args.cpu_index.unwrap_or(0))?;
    save_virtual(vm, cpu, args.val, args.size, &args.filename)?;
    Ok(api::Empty {})
}

/// `pmemsave`
pub fn pmemsave(vm: &mut Vm, _: &mut Call, args: api::PmemsaveArguments) -> Result<api::Empty> {
    save_physical(vm, args.val, args.size, &args.filename)?;
    Ok(api::Empty {})
}

/// Writes guest virtual memory to a file.
pub fn save_virtual(
    vm: &mut Vm,
    cpu: usize,
    address: u64,
    size: u64,
    filename: &str,
) -> Result<()> {
    let invalid = || {
        Error::generic(format!(
            "Invalid addr 0x{address:016x}/size {size} specified"
        ))
    };
    save(vm, address, size, filename, |vm, at, bytes| {
        vm.machine
            .read_virtual(cpu, at, bytes)
            .map_err(|_| invalid())
    })
}

/// Writes guest physical memory to a file; what is not there reads as zeros.
pub fn save_physical(vm: &mut Vm, address: u64, size: u64, filename: &str) -> Result<()> {
    save(vm, address, size, filename, |vm, at, bytes| {
        // Holes read as zeros.
        vm.machine.read_physical(at, bytes);
        Ok(())
    })
}

fn save(
    vm: &mut Vm,
    address: u64,
    size: u64,
    filename: &str,
    read: impl Fn(&Vm, u64, &mut [u8]) -> Result<()>,
) -> Result<()> {
    let mut file = create(&vm.fds, filename)?;
    let failed = |error: std::io::Error| {
        Error::generic(format!(
            "writing memory to '{filename}' failed: {}",
            reason(&error)
        ))
    };
    let mut piece = vec![0; PIECE];
    let (mut at, mut rest) = (address, size);
    while rest > 0 {
        let length = rest.min(PIECE as u64);
        let bytes = &mut piece[..length as usize];
        read(vm, at, bytes)?;
        file.write_all(bytes).map_err(failed)?;
        at = at.wrapping_add(length);
        rest -= length;
    }
    Ok(())
}

/// Opens a file for writing; `/dev/fdset/N` is a descriptor that was passed in.
pub fn create(fds: &Fds, filename: &str) -> Result<File> {
    let opened = match filename
        .strip_prefix(FDSET_PREFIX)
        .and_then(|set| set.parse().ok())
    {
        Some(set) => fds
            .sets()
            .open(set, OFlags::WRONLY)
            .map(|fd: OwnedFd| File::from(fd)),
        None => File::create(filename),
    };
    opened
        .map_err(|error| Error::generic(format!("Could not open '{filename}': {}", reason(&error))))
}

/// The system's own words for an error, without Rust's additions.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// `dumpdtb`
pub fn dumpdtb(vm: &mut Vm, _: &mut Call, args: api::DumpdtbArguments) -> Result<api::Empty> {
    save_device_tree(vm, &args.filename)?;
    Ok(api::Empty {})
}

/// Writes the device tree to a file.
pub fn save_device_tree(vm: &Vm, filename: &str) -> Result<()> {
    let tree = vm.machine.device_tree().map_err(machine_error)?;
    let failed = |error: std::io::Error| {
        Error::generic(format!(
            "Error saving FDT to file {filename}: {}",
            reason(&error)
        ))
    };
    File::create(filename)
        .and_then(|mut file| file.write_all(tree))
        .map_err(failed)
}

/// `query-cpu-definitions`
pub fn query_cpu_definitions(_: &Shared, (): ()) -> Result<Vec<api::CpuDefinitionInfo>> {
    let definition = |model: &&str| api::CpuDefinitionInfo {
        name: (*model).into(),
        migration_safe: None,
        r#static: false,
        unavailable_features: None,
        typename: format!("{model}-riscv-cpu"),
        alias_of: None,
        deprecated: false,
    };
    Ok(CPUS.iter().map(definition).collect())
}
