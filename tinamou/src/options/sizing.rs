//! `-m` and `-smp`: how much memory, how many CPUs, and whether the machine
//! can have that.

use super::config::{MachineKind, MemoryConfig, Topology};
use super::error::{Error, Result};
use super::params::{Group, Param, Params};
use super::value;

/// `-m`
pub(crate) static MEMORY: Group = Group {
    name: "memory",
    implied: Some("size"),
    merge: true,
    params: &[
        Param::size("maxmem"),
        Param::number("slots"),
        Param::size("size"),
    ],
};

/// `-smp`; parsed as keyval.
pub(crate) static SMP: Group = Group {
    name: "smp-opts",
    implied: Some("cpus"),
    merge: true,
    params: &[
        Param::number("maxcpus"),
        Param::number("threads"),
        Param::number("cores"),
        Param::number("modules"),
        Param::number("clusters"),
        Param::number("dies"),
        Param::number("sockets"),
        Param::number("books"),
        Param::number("drawers"),
        Param::number("cpus"),
    ],
};

const DEFAULT_SIZE: u64 = 128 << 20;

/// The most CPUs of a machine. QEMU's board has room for 512; eight are built.
pub fn max_cpus(kind: MachineKind) -> u64 {
    match kind {
        MachineKind::None => 1,
        MachineKind::Virt => 8,
    }
}

/// Makes sense of `-m` and of `-machine memory.KEY=`.
pub(crate) fn resolve_memory(params: &Params, nested: &[(String, String)]) -> Result<MemoryConfig> {
    let mut size = None;
    if let Some(text) = params.text("size").filter(|text| !text.is_empty()) {
        size = Some(megabytes(text)?);
    }
    let mut slots = params.number("slots")?;
    let mut max_size = params.size("maxmem")?;
    for (key, text) in nested {
        match key.as_str() {
            "size" => size = Some(value::size(key, text)?),
            "max-size" => max_size = Some(value::size(key, text)?),
            "slots" => slots = Some(value::number(key, text)?),
            _ => {
                return Err(Error::new(format!(
                    "Parameter 'memory.{key}' is unexpected"
                )));
            }
        }
    }
    let size = size.filter(|&size| size != 0).unwrap_or(DEFAULT_SIZE);
    if slots.is_some_and(|slots| slots > 0) && max_size.is_none() {
        return Err(Error::new("slots specified but no max-size"));
    }
    let max_size = max_size.unwrap_or(size);
    if max_size < size {
        return Err(Error::new(format!(
            "invalid value of maxmem: maximum memory size ({max_size:#x}) must be at least the initial memory size ({size:#x})"
        )));
    }
    let slots = slots.unwrap_or(0);
    if slots > 0 && max_size == size {
        return Err(Error::new(format!(
            "invalid value of maxmem: memory slots were specified but maximum memory size ({max_size:#x}) is equal to the initial memory size ({size:#x})"
        )));
    }
    Ok(MemoryConfig {
        size,
        slots,
        max_size,
    })
}

/// The size of `-m`, in megabytes when it has no unit. QEMU appends the unit
/// as a letter, which makes nonsense of a hexadecimal number.
fn megabytes(text: &str) -> Result<u64> {
    if text.ends_with(|c: char| c.is_ascii_digit()) && text.starts_with("0x") {
        return Err(Error::new("Parameter 'memory.size' expects size"));
    }
    value::parse_size(text, 'M').map_err(|_| {
        Error::new(format!(
            "Value '{text}' is out of range for parameter 'size'"
        ))
    })
}

/// Makes sense of `-smp` and of `-machine smp.KEY=`.
pub(crate) fn resolve_smp(pairs: &[(String, String)], kind: MachineKind) -> Result<Topology> {
    let mut given = Given::default();
    for (key, text) in pairs {
        given.set(key, text)?;
    }
    given.check_levels()?;
    let topology = given.complete();
    check_product(&topology)?;
    let most = max_cpus(kind);
    if topology.max_cpus > most {
        // QEMU shows the number as signed.
        let (count, name) = (topology.max_cpus.cast_signed(), kind.name());
        return Err(Error::new(format!(
            "Invalid SMP CPUs {count}. The max CPUs supported by machine '{name}' is {most}"
        )));
    }
    Ok(topology)
}

/// What was said, before the rest is filled in.
#[derive(Default)]
struct Given {
    cpus: Option<u64>,
    max_cpus: Option<u64>,
    sockets: Option<u64>,
    cores: Option<u64>,
    threads: Option<u64>,
    /// Levels that this architecture's machines do not have, by name.
    others: Vec<(String, u64)>,
}

impl Given {
    fn set(&mut self, key: &str, text: &str) -> Result<()> {
        let slot = match key {
            "cpus" => &mut self.cpus,
            "maxcpus" => &mut self.max_cpus,
            "sockets" => &mut self.sockets,
            "cores" => &mut self.cores,
            "threads" => &mut self.threads,
            "drawers" | "books" | "dies" | "clusters" | "modules" => {
                self.others.push((key.to_owned(), count(key, text)?));
                return Ok(());
            }
            _ => return Err(Error::new(format!("Parameter 'smp.{key}' is unexpected"))),
        };
        *slot = Some(count(key, text)?);
        Ok(())
    }

    fn check_levels(&self) -> Result<()> {
        let named = [
            self.cpus,
            self.max_cpus,
            self.sockets,
            self.cores,
            self.threads,
        ];
        let others = self.others.iter().map(|(_, count)| *count);
        if named
            .into_iter()
            .flatten()
            .chain(others)
            .any(|count| count == 0)
        {
            return Err(Error::new(
                "Invalid CPU topology: CPU topology parameters must be greater than zero",
            ));
        }
        for level in ["modules", "dies", "books", "drawers", "clusters"] {
            if self
                .others
                .iter()
                .any(|(name, count)| name == level && *count > 1)
            {
                return Err(Error::new(format!(
                    "{level} > 1 not supported by this machine's CPU topology"
                )));
            }
        }
        Ok(())
    }

    /// Fills in what was left out: cores before sockets before threads.
    fn complete(&self) -> Topology {
        let max_cpus = self.max_cpus.or(self.cpus);
        let (mut sockets, mut cores) = (self.sockets.unwrap_or(1), self.cores.unwrap_or(1));
        let mut threads = self.threads.unwrap_or(1);
        if let Some(max) = max_cpus {
            match (self.sockets, self.cores, self.threads) {
                (_, None, _) => cores = max / saturating(sockets, threads),
                (None, Some(_), _) => sockets = max / saturating(cores, threads),
                (Some(_), Some(_), None) => threads = max / saturating(sockets, cores),
                (Some(_), Some(_), Some(_)) => {}
            }
        }
        let max_cpus = max_cpus.unwrap_or(saturating(saturating(sockets, cores), threads));
        Topology {
            cpus: self.cpus.unwrap_or(max_cpus),
            max_cpus,
            sockets,
            cores,
            threads,
        }
    }
}

/// A product that is only compared with what was asked for.
fn saturating(a: u64, b: u64) -> u64 {
    a.saturating_mul(b)
}

fn check_product(topology: &Topology) -> Result<()> {
    let Topology {
        cpus,
        max_cpus,
        sockets,
        cores,
        threads,
    } = *topology;
    let hierarchy = format!("sockets ({sockets}) * cores ({cores}) * threads ({threads})");
    if saturating(saturating(sockets, cores), threads) != max_cpus {
        return Err(Error::new(format!(
            "Invalid CPU topology: product of the hierarchy must match maxcpus: {hierarchy} != maxcpus ({max_cpus})"
        )));
    }
    if max_cpus < cpus {
        return Err(Error::new(format!(
            "Invalid CPU topology: maxcpus must be equal to or greater than smp: {hierarchy} == maxcpus ({max_cpus}) < smp_cpus ({cpus})"
        )));
    }
    Ok(())
}

fn count(key: &str, text: &str) -> Result<u64> {
    match value::parse_integer(text) {
        Ok(count) => Ok(count),
        Err(_) => Err(Error::new(format!("Parameter 'smp.{key}' expects integer"))),
    }
}
