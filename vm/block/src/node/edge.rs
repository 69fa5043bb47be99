//! A user's hold on a node.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Node;
use crate::error::Result;
use crate::permission::{Bond, Claim, User};

/// One user's hold on a node; clones are the same hold. Locks go from users down to what they use,
/// never up.
#[derive(Clone)]
pub struct Edge {
    hold: Arc<Hold>,
}

struct Hold {
    node: Arc<Node>,
    role: &'static str,
    bond: Bond,
    id: u64,
}

impl Edge {
    pub(super) fn new(node: Arc<Node>, role: &'static str, bond: Bond, id: u64) -> Self {
        let hold = Hold {
            node,
            role,
            bond,
            id,
        };
        Self {
            hold: Arc::new(hold),
        }
    }

    /// The node held.
    pub fn node(&self) -> &Arc<Node> {
        &self.hold.node
    }

    /// What the node is to its user.
    pub(crate) fn role(&self) -> &'static str {
        self.hold.role
    }

    /// What that makes its user claim.
    pub(crate) fn bond(&self) -> Bond {
        self.hold.bond
    }

    /// Claims something else from now on.
    ///
    /// # Errors
    /// As for [`Node::join`]; the old claim stands then.
    pub fn change(&self, claim: Claim) -> Result<()> {
        let mut users = self.hold.node.users();
        let Some(index) = users.iter().position(|user| user.id == self.hold.id) else {
            return Ok(());
        };
        let old = users[index].clone();
        let new = User {
            claim: self.hold.node.allowed(claim),
            ..old.clone()
        };
        if new.claim == old.claim {
            return Ok(());
        }
        self.hold.node.admit(&new, &users)?;
        users[index] = new;
        let settled = self.hold.node.settle(&users);
        if settled.is_err() {
            users[index] = old;
            // It was so before.
            let _ = self.hold.node.settle(&users);
        }
        settled
    }

    /// The user goes by another name from now on.
    pub(crate) fn rename(&self, name: String) {
        let mut users = self.hold.node.users();
        if let Some(user) = users.iter_mut().find(|user| user.id == self.hold.id) {
            user.name = name;
        }
    }
}

impl Deref for Edge {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.hold.node
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut users = self.node.users();
        users.retain(|user| user.id != self.id);
        // Less is claimed than before, which nobody can object to.
        let _ = self.node.settle(&users);
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("node", &self.hold.node.name)
            .field("role", &self.hold.role)
            .finish_non_exhaustive()
    }
}
