//! What a server says of itself at one moment, and what this host knows of a
//! server that runs here. A server that lacks a command leaves its part out.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tinamou_client::{Client, Error, Result};

use super::host;

/// The state of a server at one moment. `None`: it does not tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// When it was taken.
    pub(crate) taken: Option<Instant>,
    /// The run state.
    pub(crate) status: Option<String>,
    /// The machine's name.
    pub(crate) name: Option<String>,
    pub(crate) cpus: Option<Vec<Cpu>>,
    /// What the machine began with, in bytes.
    pub(crate) memory: Option<u64>,
    /// What the balloon leaves to the guest, in bytes.
    pub(crate) balloon: Option<u64>,
    pub(crate) disks: Option<Vec<Disk>>,
    pub(crate) nets: Option<Vec<Net>>,
    pub(crate) jobs: Option<Vec<Job>>,
    pub(crate) migration: Option<Migration>,
}

/// A processor of the guest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Cpu {
    pub(crate) cpu_index: u64,
    pub(crate) thread_id: Option<u32>,
    /// The time its thread has run on this host.
    #[serde(skip)]
    pub(crate) spent: Option<Duration>,
}

/// The counters of a disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disk {
    pub(crate) name: String,
    pub(crate) counters: Counters,
}

/// As `query-blockstats` counts. Members that older servers lack are 0.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Counters {
    pub(crate) rd_operations: u64,
    pub(crate) wr_operations: u64,
    pub(crate) rd_bytes: u64,
    pub(crate) wr_bytes: u64,
    pub(crate) rd_total_time_ns: u64,
    pub(crate) wr_total_time_ns: u64,
}

/// A network card or the backend of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Net {
    pub(crate) name: String,
    /// `user`, `tap`, or the model of a card.
    pub(crate) kind: String,
    /// Bytes to and from the guest, where this host counts them.
    pub(crate) bytes: Option<host::Traffic>,
}

/// Work in the background.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Job {
    #[serde(alias = "device")]
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    #[serde(alias = "offset")]
    pub(crate) current_progress: u64,
    #[serde(alias = "len")]
    pub(crate) total_progress: u64,
    pub(crate) error: Option<String>,
}

/// A migration, under way or over.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Migration {
    /// Empty if there was none.
    pub(crate) status: String,
    pub(crate) ram: Option<Ram>,
    pub(crate) error_desc: Option<String>,
}

/// How far the guest's memory has moved.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Ram {
    pub(crate) remaining: u64,
    pub(crate) total: u64,
    /// Megabits a second.
    pub(crate) mbps: f64,
}

/// Which of the commands that a sample is made of a server has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offers {
    status: bool,
    name: bool,
    cpus: bool,
    memory: bool,
    balloon: bool,
    blockstats: bool,
    monitor: bool,
    jobs: bool,
    block_jobs: bool,
    migrate: bool,
    /// The server runs on this host, so that its thread ids mean something.
    local: bool,
}

impl Offers {
    /// Asks the server's introspection.
    pub(crate) async fn of(client: &Client, local: bool) -> Result<Self> {
        let reply = client.request("query-qmp-schema", ()).no_deadline();
        let schema = tinamou_client::Schema::read(reply.raw().await?.get())?;
        let has = |command| schema.has_command(command);
        Ok(Self {
            status: has("query-status"),
            name: has("query-name"),
            cpus: has("query-cpus-fast"),
            memory: has("query-memory-size-summary"),
            balloon: has("query-balloon"),
            blockstats: has("query-blockstats"),
            monitor: has("human-monitor-command"),
            jobs: has("query-jobs"),
            block_jobs: has("query-block-jobs"),
            migrate: has("query-migrate"),
            local,
        })
    }
}

impl Sample {
    /// Takes a sample. It waits as long as the connection lasts: how long is
    /// too long, the caller decides, and nothing piles up meanwhile.
    pub(crate) async fn take(client: &Client, offers: &Offers) -> Result<Self> {
        let network = json!({"command-line": "info network"});
        let block_jobs = offers.block_jobs && !offers.jobs;
        let (status, name, cpus, memory, balloon) = tokio::try_join!(
            ask::<Value>(client, offers.status, "query-status", Value::Null),
            ask::<Value>(client, offers.name, "query-name", Value::Null),
            ask::<Vec<Cpu>>(client, offers.cpus, "query-cpus-fast", Value::Null),
            ask::<Value>(
                client,
                offers.memory,
                "query-memory-size-summary",
                Value::Null
            ),
            ask::<Value>(client, offers.balloon, "query-balloon", Value::Null),
        )?;
        let (disks, nets, jobs, old_jobs, migration) = tokio::try_join!(
            ask::<Value>(client, offers.blockstats, "query-blockstats", Value::Null),
            ask::<String>(client, offers.monitor, "human-monitor-command", network),
            ask::<Vec<Job>>(client, offers.jobs, "query-jobs", Value::Null),
            ask::<Vec<Job>>(client, block_jobs, "query-block-jobs", Value::Null),
            ask::<Migration>(client, offers.migrate, "query-migrate", Value::Null),
        )?;
        let mut sample = Self {
            taken: Some(Instant::now()),
            status: text(status, "status"),
            name: text(name, "name"),
            cpus,
            memory: number(memory, "base-memory"),
            balloon: number(balloon, "actual"),
            disks: disks.map(|disks| read_disks(&disks)),
            nets: nets.map(|text| read_nets(&text)),
            jobs: jobs.or(old_jobs),
            migration: migration.filter(|it| !it.status.is_empty()),
        };
        if offers.local {
            sample.look_here();
        }
        Ok(sample)
    }

    /// Adds what this host knows.
    fn look_here(&mut self) {
        for cpu in self.cpus.iter_mut().flatten() {
            cpu.spent = cpu.thread_id.and_then(host::time_of_thread);
        }
        for net in self.nets.iter_mut().flatten() {
            let interface = net.kind.strip_prefix("tap ");
            net.bytes = interface.and_then(host::traffic_of_tap);
        }
    }
}

/// Asks one thing, if the server has it. Refusals (there is no balloon) and
/// replies of another form leave it out as well.
async fn ask<T: DeserializeOwned>(
    client: &Client,
    offered: bool,
    command: &str,
    arguments: Value,
) -> Result<Option<T>> {
    if !offered {
        return Ok(None);
    }
    match client
        .request(command, arguments)
        .no_deadline()
        .decode()
        .await
    {
        Ok(reply) => Ok(Some(reply)),
        Err(Error::Command { .. } | Error::Decode { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn text(value: Option<Value>, member: &str) -> Option<String> {
    Some(value?.get(member)?.as_str()?.to_owned())
}

fn number(value: Option<Value>, member: &str) -> Option<u64> {
    value?.get(member)?.as_u64()
}

/// Disks under the name people know best: the device's id, the drive's, the
/// node's. Drives without a medium are left out.
fn read_disks(reply: &Value) -> Vec<Disk> {
    let disks = reply.as_array().into_iter().flatten();
    let disks = disks.filter_map(|disk| {
        let member = |name| disk.get(name).and_then(Value::as_str);
        let node = member("node-name")?;
        let drive = member("device").filter(|drive| !drive.is_empty());
        let name = member("qdev").and_then(device_id).or(drive).unwrap_or(node);
        Some(Disk {
            name: name.to_owned(),
            counters: Counters::deserialize(disk.get("stats")?).ok()?,
        })
    });
    disks.collect()
}

/// The id of a device by its path: `/machine/peripheral/ID/…`.
fn device_id(path: &str) -> Option<&str> {
    match path.strip_prefix("/machine/peripheral/") {
        Some(rest) => rest.split('/').next(),
        None if path.starts_with('/') => None,
        None => Some(path),
    }
}

/// What `info network` prints: `NAME: index=0,type=KIND,…` a line, a backend
/// under its card after a backslash. No QMP command lists backends.
fn read_nets(text: &str) -> Vec<Net> {
    let lines = text.lines().filter_map(|line| {
        let line = line.trim_start_matches([' ', '\\']).trim_end();
        let (name, rest) = line.split_once(": ")?;
        let option = |key: &str| {
            let mut options = rest.split(',').filter_map(|it| it.split_once('='));
            options
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value)
        };
        let kind = match (option("type")?, option("ifname"), option("model")) {
            ("nic", _, Some(model)) => model.to_owned(),
            ("tap", Some(interface), _) => format!("tap {interface}"),
            (kind, ..) => kind.to_owned(),
        };
        Some(Net {
            name: name.to_owned(),
            kind,
            bytes: None,
        })
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_go_by_the_name_that_people_gave() {
        let disk = |members: Value| {
            let mut disk = json!({"stats": {"rd_bytes": 512, "new-member": []}});
            for (name, value) in members.as_object().expect("an object") {
                disk[name] = value.clone();
            }
            let disks = read_disks(&json!([disk]));
            disks.into_iter().map(|disk| disk.name).collect::<String>()
        };
        let path = "/machine/peripheral/disk0/virtio-backend";
        assert_eq!(disk(json!({"node-name": "n0", "qdev": path})), "disk0");
        let path = "/machine/unattached/device[3]";
        let drive = json!({"node-name": "#block1", "qdev": path, "device": "hda"});
        assert_eq!(disk(drive), "hda");
        let plain = json!({"node-name": "n0", "device": ""});
        assert_eq!(disk(plain), "n0");
        assert_eq!(disk(json!({"device": "floppy0"})), "");
    }

    #[test]
    fn networks_are_read_from_the_human_monitor() {
        let text = "nic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56\r\n \
                    \\ net0: index=0,type=user,net=10.0.2.0,restrict=off\r\n\
                    t: index=0,type=tap,ifname=tap7,script=no\r\nnonsense\r\n";
        let nets = read_nets(text);
        let lines: Vec<_> = nets.iter().map(|net| (&*net.name, &*net.kind)).collect();
        let expected = [
            ("nic0", "virtio-net-pci"),
            ("net0", "user"),
            ("t", "tap tap7"),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn jobs_of_old_servers_have_other_names() {
        let job = json!({"type": "mirror", "device": "m", "len": 9, "offset": 3, "busy": true});
        let job = Job::deserialize(&job).expect("it is a job");
        assert_eq!(
            (&*job.id, job.current_progress, job.total_progress),
            ("m", 3, 9)
        );
    }
}
