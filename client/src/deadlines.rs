//! How long to wait for what.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// How long to wait for each stage of a connection, and for commands.
///
/// A command that the [table](Deadlines::of) knows to be slow has more time
/// than [`call`](Self::call); a deadline given with a request overrules both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For making the connection.
    pub connect: Duration,
    /// For the greeting, once connected.
    pub greeting: Duration,
    /// For the negotiation, once greeted.
    pub negotiation: Duration,
    /// For the reply to a command that is not known to be slow.
    pub call: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: 5 * SECOND,
            greeting: 5 * SECOND,
            negotiation: 5 * SECOND,
            call: 5 * SECOND,
        }
    }
}

impl Deadlines {
    /// How long `command` may take: [`call`](Self::call), or what its class is
    /// known to need if that is more.
    #[must_use]
    pub fn of(&self, command: &str) -> Duration {
        class(command).map_or(self.call, |class| class.deadline().max(self.call))
    }
}

/// Why a command is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It drains requests of a disk, or starts a job on one.
    Disk,
    /// It opens or closes files, stops the machine or waits for its lock.
    Machine,
    /// It writes whole images or memory before it answers.
    Bulk,
}

impl Class {
    const fn deadline(self) -> Duration {
        match self {
            Self::Disk => Duration::from_secs(30),
            Self::Machine => Duration::from_secs(120),
            Self::Bulk => Duration::from_secs(600),
        }
    }
}

/// Commands whose names do not tell.
const SLOW: &[(&str, Class)] = &[
    ("change-backing-file", Class::Disk),
    ("cont", Class::Machine),
    ("device_add", Class::Machine),
    ("device_del", Class::Machine),
    ("drive-backup", Class::Bulk),
    ("drive-mirror", Class::Bulk),
    ("dump-guest-memory", Class::Bulk),
    ("eject", Class::Disk),
    ("human-monitor-command", Class::Bulk),
    ("memsave", Class::Bulk),
    ("migrate", Class::Machine),
    ("migrate-incoming", Class::Machine),
    ("pmemsave", Class::Bulk),
    ("qmp_capabilities", Class::Disk),
    ("query-block", Class::Disk),
    ("query-blockstats", Class::Disk),
    ("query-migrate", Class::Disk),
    ("query-named-block-nodes", Class::Disk),
    ("query-qmp-schema", Class::Disk),
    ("quit", Class::Machine),
    ("screendump", Class::Disk),
    ("stop", Class::Machine),
    ("system_reset", Class::Machine),
    ("transaction", Class::Bulk),
    ("xen-save-devices-state", Class::Bulk),
    ("xen-load-devices-state", Class::Bulk),
];

/// Families of commands, by how their names begin.
const SLOW_FAMILIES: &[(&str, Class)] = &[
    ("block-", Class::Disk),
    ("block_", Class::Disk),
    ("blockdev-add", Class::Machine),
    ("blockdev-del", Class::Machine),
    ("blockdev-reopen", Class::Machine),
    ("blockdev-snapshot", Class::Bulk),
    ("blockdev-", Class::Disk),
    ("chardev-", Class::Disk),
    ("guest-exec", Class::Disk),
    ("guest-file-", Class::Disk),
    ("guest-fsfreeze-", Class::Machine),
    ("guest-fstrim", Class::Bulk),
    ("guest-suspend-", Class::Machine),
    ("job-", Class::Disk),
    ("nbd-server-", Class::Disk),
    ("netdev_", Class::Machine),
    ("object-", Class::Machine),
    ("snapshot-", Class::Machine),
];

fn class(command: &str) -> Option<Class> {
    let named = SLOW.iter().find(|(name, _)| *name == command);
    let family = || {
        let mut families = SLOW_FAMILIES.iter();
        families.find(|(prefix, _)| command.starts_with(prefix))
    };
    named.or_else(family).map(|(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &str, seconds: u64) {
        let deadline = Deadlines::default().of(command);
        assert_eq!(deadline.as_secs(), seconds, "{command}");
    }

    #[test]
    fn knows_slow_commands() {
        check("query-status", 5);
        check("qom-get", 5);
        check("block-job-cancel", 30);
        check("block_resize", 30);
        check("blockdev-mirror", 30);
        check("blockdev-add", 120);
        check("blockdev-snapshot-sync", 600);
        check("device_del", 120);
        check("screendump", 30);
        check("transaction", 600);
        check("guest-ping", 5);
        check("guest-fsfreeze-freeze", 120);
    }

    #[test]
    fn a_longer_default_holds_for_all() {
        let patient = Deadlines {
            call: Duration::from_secs(3600),
            ..Deadlines::default()
        };
        assert_eq!(patient.of("quit").as_secs(), 3600);
    }
}
