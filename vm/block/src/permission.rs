//! Who may do what with a node: users say what they need of it and what they let others do.

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

/// A set of things one can do with a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Read data that nobody changes behind one's back.
    pub const CONSISTENT_READ: Self = Self(1);
    /// Write.
    pub const WRITE: Self = Self(2);
    /// Write in ways that change nothing a reader sees.
    pub const WRITE_UNCHANGED: Self = Self(4);
    /// Change the size.
    pub const RESIZE: Self = Self(8);
    /// Everything.
    pub const ALL: Self = Self(15);

    /// The single permissions with their names, in the order of their lock bytes.
    pub const NAMES: [(Self, &'static str); 4] = [
        (Self::CONSISTENT_READ, "consistent read"),
        (Self::WRITE, "write"),
        (Self::WRITE_UNCHANGED, "write unchanged"),
        (Self::RESIZE, "resize"),
    ];

    /// Whether it has anything in common with another set.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Permissions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Permissions {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (permission, name) in Self::NAMES {
            if self.intersects(permission) {
                write!(f, "{separator}{name}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// What a user of a node needs, and what it lets others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it needs.
    pub need: Permissions,
    /// What others may do.
    pub share: Permissions,
}

impl Claim {
    /// Needs nothing and allows everything.
    pub const IDLE: Self = Self {
        need: Permissions::NONE,
        share: Permissions::ALL,
    };

    /// Both claims at once.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            need: self.need | other.need,
            share: self.share & other.share,
        }
    }
}

/// What a node is to the one above it, which decides what that one claims of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// It is passed on as it is.
    Filtered,
    /// A part of it, or its data apart from their description.
    Data,
    /// It holds a format: tables that must not change under the one who reads them.
    Format,
    /// It is behind an image and read where that has nothing.
    Backing,
}

impl Bond {
    /// What the upper node claims of the lower one, given what its own users claim of it and
    /// whether it is writable.
    pub fn claim(self, above: Claim, writable: bool) -> Claim {
        let (read, write, resize) = (
            Permissions::CONSISTENT_READ,
            Permissions::WRITE,
            Permissions::RESIZE,
        );
        match self {
            Self::Filtered => above,
            Self::Data => {
                let grows = above.need.intersects(write | Permissions::WRITE_UNCHANGED);
                let need = if grows {
                    above.need | write | resize
                } else {
                    above.need
                };
                let share = above.share;
                Claim { need, share }
            }
            Self::Format => Claim {
                need: above.need
                    | read
                    | if writable {
                        write | resize
                    } else {
                        Permissions::NONE
                    },
                share: above.share & !(write | resize),
            },
            Self::Backing => {
                let changing = above.share.intersects(write);
                let share = if changing {
                    write | resize
                } else {
                    Permissions::NONE
                };
                Claim {
                    need: above.need & read,
                    share: share | read | Permissions::WRITE_UNCHANGED,
                }
            }
        }
    }
}

/// One user of a node.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: u64,
    /// `node 'x'` or `block device 'x'`
    pub(crate) name: String,
    /// What the node is to it: `root`, `file`, `backing`.
    pub(crate) role: &'static str,
    pub(crate) claim: Claim,
}

/// Two users of a node that do not get on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Permission conflict on node '{node}': permissions '{permissions}' are both required by {by} (uses node '{node}' as '{by_role}' child) and unshared by {against} (uses node '{node}' as '{against_role}' child)."
)]
pub struct Conflict {
    node: String,
    permissions: Permissions,
    by: String,
    by_role: &'static str,
    against: String,
    against_role: &'static str,
}

/// Whether `user` gets on with all others.
pub(crate) fn check(node: &str, user: &User, users: &[User]) -> Result<(), Conflict> {
    let others = users.iter().filter(|other| other.id != user.id);
    for other in others {
        allows(node, other, user)?;
        allows(node, user, other)?;
    }
    Ok(())
}

fn allows(node: &str, by: &User, against: &User) -> Result<(), Conflict> {
    let permissions = by.claim.need & !against.claim.share;
    if permissions.is_empty() {
        return Ok(());
    }
    Err(Conflict {
        node: node.to_owned(),
        permissions,
        by: by.name.clone(),
        by_role: by.role,
        against: against.name.clone(),
        against_role: against.role,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: u64, name: &str, need: Permissions, share: Permissions) -> User {
        User {
            id,
            name: name.into(),
            role: "root",
            claim: Claim { need, share },
        }
    }

    #[test]
    fn a_second_writer_is_told_who_is_in_its_way() {
        let write = Permissions::WRITE;
        let first = user(1, "block device 'a'", write, !write);
        let second = user(2, "block device 'b'", write, Permissions::ALL);
        let conflict = check("r0", &second, std::slice::from_ref(&first));
        assert_eq!(
            conflict.expect_err("a conflict").to_string(),
            "Permission conflict on node 'r0': permissions 'write' are both required by block \
             device 'b' (uses node 'r0' as 'root' child) and unshared by block device 'a' (uses \
             node 'r0' as 'root' child)."
        );
        assert_eq!(check("r0", &first, std::slice::from_ref(&first)), Ok(()));
    }

    #[test]
    fn formats_guard_their_tables() {
        let claim = Bond::Format.claim(Claim::IDLE, true);
        assert_eq!(claim.need.to_string(), "consistent read, write, resize");
        assert_eq!(claim.share.to_string(), "consistent read, write unchanged");
        let claim = Bond::Format.claim(Claim::IDLE, false);
        assert_eq!(claim.need.to_string(), "consistent read");
        assert_eq!(Bond::Filtered.claim(Claim::IDLE, true), Claim::IDLE);
        let claim = Bond::Backing.claim(claim, true);
        assert_eq!(claim.need.to_string(), "consistent read");
        assert_eq!(claim.share.to_string(), "consistent read, write unchanged");
    }
}
