//! The nodes that the kernel knows, by number.

use std::collections::HashMap;

/// The number of the root, given by the protocol.
pub(super) const ROOT: u64 = 1;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// An object: a directory.
    Object {
        /// Where it is.
        path: String,
    },
    /// A link: a symbolic link.
    Link {
        /// The object that has it.
        path: String,
        /// What it is called there.
        name: String,
    },
    /// Any other property: a file.
    Property {
        /// The object that has it.
        path: String,
        /// What it is called there.
        name: String,
        /// Its type.
        ty: String,
    },
}

/// Numbers for nodes, kept as long as the kernel counts on them.
#[derive(Debug)]
pub(super) struct Nodes {
    by_number: HashMap<u64, (Node, u64)>,
    by_node: HashMap<Node, u64>,
    last: u64,
}

impl Nodes {
    /// Only the root.
    pub(super) fn new() -> Self {
        let root = Node::Object {
            path: "/".to_owned(),
        };
        Self {
            by_number: HashMap::from([(ROOT, (root.clone(), 1))]),
            by_node: HashMap::from([(root, ROOT)]),
            last: ROOT,
        }
    }

    /// The node of a number.
    pub(super) fn find(&self, number: u64) -> Option<&Node> {
        self.by_number.get(&number).map(|(node, _)| node)
    }

    /// The number of a node that has one.
    pub(super) fn number(&self, node: &Node) -> Option<u64> {
        self.by_node.get(node).copied()
    }

    /// The number of a node that the kernel has looked up once more.
    pub(super) fn look_up(&mut self, node: Node) -> u64 {
        let number = self.number(&node).unwrap_or_else(|| {
            self.last += 1;
            self.by_node.insert(node.clone(), self.last);
            self.last
        });
        let (_, lookups) = self.by_number.entry(number).or_insert((node, 0));
        *lookups += 1;
        number
    }

    /// The kernel counts on `lookups` of a node no more.
    pub(super) fn forget(&mut self, number: u64, lookups: u64) {
        let Some((_, left)) = self.by_number.get_mut(&number) else {
            return;
        };
        *left = left.saturating_sub(lookups);
        if *left == 0
            && number != ROOT
            && let Some((node, _)) = self.by_number.remove(&number)
        {
            self.by_node.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_last_until_they_are_forgotten() {
        let machine = || Node::Object {
            path: "/machine".to_owned(),
        };
        let mut nodes = Nodes::new();
        let number = nodes.look_up(machine());
        assert_eq!(nodes.look_up(machine()), number);
        nodes.forget(number, 1);
        assert_eq!(nodes.find(number), Some(&machine()));
        nodes.forget(number, 1);
        assert_eq!(nodes.find(number), None);
        assert_ne!(nodes.look_up(machine()), number);
        nodes.forget(ROOT, 9);
        assert!(nodes.find(ROOT).is_some());
    }
}
