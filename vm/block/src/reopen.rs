//! New options for nodes that are in use, and other nodes below them.
//!
//! All that can be refused without trying is refused before anything is tried. What fails later is
//! undone: a node whose driver was made again is made again as it was.

use std::sync::Arc;

use tinamou_api as api;
use tinamou_api::BlockdevOptionsBranch as Branch;

use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::node::{Edge, Node, NodeOptions};
use crate::open::{self, Below};
use crate::query;

/// One node, what it is to be and what it was.
struct Change {
    node: Arc<Node>,
    new: Shape,
    old: Shape,
    /// Another driver has to be made.
    remake: bool,
}

/// What a node is.
struct Shape {
    common: NodeOptions,
    made_from: Arc<api::BlockdevOptions>,
    below: Vec<(&'static str, Arc<Node>)>,
}

/// Changes all nodes or none.
pub(crate) async fn nodes(graph: &Graph, options: Vec<api::BlockdevOptions>) -> Result<()> {
    let mut changes = Changes {
        graph,
        list: Vec::new(),
    };
    for options in options {
        changes.add(options)?;
    }
    let changes = changes.list;
    for change in &changes {
        change.relinquish(&change.new);
    }
    for (done, change) in changes.iter().enumerate() {
        let Err(error) = change.apply(graph, &change.new).await else {
            continue;
        };
        let done = &changes[..done];
        for undo in done {
            undo.relinquish(&undo.old);
        }
        for undo in done.iter().rev() {
            // What could be opened before can be opened again, or stays as it is.
            let _ = undo.apply(graph, &undo.old).await;
        }
        for change in &changes {
            change.node.resettle();
        }
        return Err(error);
    }
    Ok(())
}

impl Change {
    /// Claims nothing more of the nodes that will not be below any longer, so that they can go
    /// elsewhere.
    fn relinquish(&self, shape: &Shape) {
        if !self.remake {
            return;
        }
        for edge in self.node.edges() {
            if !shape.keeps(&edge) {
                // Less is claimed than before, which nobody can object to.
                let _ = edge.change(crate::permission::Claim::IDLE);
            }
        }
    }

    async fn apply(&self, graph: &Graph, shape: &Shape) -> Result<()> {
        let remake = self.remake.then(|| self.driver(graph, shape));
        let made_from = Some(Arc::clone(&shape.made_from));
        let common = shape.common.clone();
        self.node.reopen(common, made_from, remake).await
    }

    async fn driver(&self, graph: &Graph, shape: &Shape) -> Result<Box<dyn Driver>> {
        let edges = self.node.edges().into_iter();
        let below = Below {
            nodes: shape.below.clone(),
            edges: edges.filter(|edge| shape.keeps(edge)).collect(),
        };
        let (name, common) = (self.node.name(), shape.common.clone());
        open::driver(graph, name, &shape.made_from, common, below).await
    }
}

impl Shape {
    fn keeps(&self, edge: &Edge) -> bool {
        let mut below = self.below.iter();
        below.any(|(role, node)| *role == edge.role() && Arc::ptr_eq(node, edge.node()))
    }
}

/// What was asked for so far.
struct Changes<'a> {
    graph: &'a Graph,
    list: Vec<Change>,
}

impl Changes<'_> {
    fn add(&mut self, options: api::BlockdevOptions) -> Result<()> {
        let name = options.node_name.as_ref().ok_or(Error::ReopenName)?;
        let node = self
            .graph
            .find(name)
            .ok_or_else(|| Error::NoNode(name.clone()))?;
        let common = open::common(&options, &open::Inherited::default())?;
        self.change(node, options, common)
    }

    fn change(
        &mut self,
        node: Arc<Node>,
        options: api::BlockdevOptions,
        common: NodeOptions,
    ) -> Result<()> {
        let made_from = node
            .made_from()
            .ok_or_else(|| Error::CannotChange("driver".into()))?;
        let other_options = compare(&node, &made_from.branch, &options.branch)?;
        // What is below a node that can be written must be so first, and longer.
        let place = self.list.len();
        let below = self.below(&node, &options, &common)?;
        let old = Shape {
            common: node.options(),
            made_from,
            below: node.children(),
        };
        let same = |(one, other): (&(_, Arc<Node>), &(_, Arc<Node>))| {
            one.0 == other.0 && Arc::ptr_eq(&one.1, &other.1)
        };
        let other_nodes = below.len() != old.below.len() || !below.iter().zip(&old.below).all(same);
        let place = if common.read_only {
            place
        } else {
            self.list.len()
        };
        let change = Change {
            node,
            remake: other_options || other_nodes,
            new: Shape {
                common,
                made_from: Arc::new(options),
                below,
            },
            old,
        };
        self.list.insert(place, change);
        Ok(())
    }

    /// The nodes that are to be below.
    fn below(
        &mut self,
        node: &Arc<Node>,
        options: &api::BlockdevOptions,
        common: &NodeOptions,
    ) -> Result<Vec<(&'static str, Arc<Node>)>> {
        let mut child = |role, reference: &api::BlockdevRef| {
            let child = match reference {
                api::BlockdevRef::Reference(name) => self.named(node, role, name)?,
                api::BlockdevRef::Definition(options) => {
                    self.described(node, role, options, common)?
                }
            };
            Ok::<_, Error>((role, child))
        };
        match &options.branch {
            Branch::Raw(options) => Ok(vec![child("file", &options.base.file)?]),
            Branch::Throttle(options) => Ok(vec![child("file", &options.file)?]),
            Branch::CopyOnRead(options) => Ok(vec![child("file", &options.base.file)?]),
            Branch::Blkdebug(options) => {
                let (role, image) = child("image", &options.image)?;
                let mut there = node.children().into_iter();
                let goes_on = there.any(|(_, child)| Arc::ptr_eq(&child, &image));
                same(goes_on, role).map(|()| vec![(role, image)])
            }
            Branch::Qcow2(options) => {
                let file = child("file", &options.base.base.file)?;
                let reference = match options.base.backing.as_deref() {
                    Some(api::BlockdevRefOrNull::Null(())) => return Ok(vec![file]),
                    None => {
                        return match has_backing(node) {
                            true => Err(Error::BackingMissing(node.name().to_owned())),
                            false => Ok(vec![file]),
                        };
                    }
                    Some(api::BlockdevRefOrNull::Reference(name)) => {
                        api::BlockdevRef::Reference(name.clone())
                    }
                    Some(api::BlockdevRefOrNull::Definition(options)) => {
                        api::BlockdevRef::Definition(options.clone())
                    }
                };
                Ok(vec![file, child("backing", &reference)?])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Another node that is there, or the one that is below already.
    fn named(&self, node: &Arc<Node>, role: &'static str, name: &str) -> Result<Arc<Node>> {
        let not_found = || Error::NotFound(String::new(), name.to_owned());
        let child = self.graph.find(name).ok_or_else(not_found)?;
        if self.reaches(&child, node) {
            return Err(Error::Cycle {
                child: name.to_owned(),
                role,
                parent: node.name().to_owned(),
            });
        }
        Ok(child)
    }

    /// Whether one node is, or will be, above another or the same.
    fn reaches(&self, from: &Arc<Node>, to: &Arc<Node>) -> bool {
        if Arc::ptr_eq(from, to) {
            return true;
        }
        let mut changes = self.list.iter().rev();
        let below = match changes.find(|change| Arc::ptr_eq(&change.node, from)) {
            Some(change) => change.new.below.clone(),
            None => from.children(),
        };
        below.iter().any(|(_, child)| self.reaches(child, to))
    }

    /// The node that is below, which was made with the one above and gets new options with it.
    fn described(
        &mut self,
        node: &Node,
        role: &'static str,
        options: &api::BlockdevOptions,
        above: &NodeOptions,
    ) -> Result<Arc<Node>> {
        let mut children = node.children().into_iter();
        let child = children.find(|(of, _)| *of == role).map(|(_, child)| child);
        let made_with = |child: &Arc<Node>| !self.graph.is_owned(child);
        let Some(child) = child.filter(made_with) else {
            return Err(Error::CannotChange(format!("{role}.driver")));
        };
        let named = options.node_name.as_deref();
        if named.is_some_and(|name| name != child.name()) {
            return Err(Error::CannotChange("node-name".into()));
        }
        let common = open::common(options, &open::Inherited::of(above, role == "backing"))?;
        self.change(Arc::clone(&child), options.clone(), common)?;
        Ok(child)
    }
}

fn has_backing(node: &Arc<Node>) -> bool {
    let info = query::node_info(node, true);
    info.backing_file.is_some() || info.image.base.backing_filename.is_some()
}

/// Refuses what cannot be changed, and says whether what can needs another driver. What is below
/// is not looked at.
fn compare(node: &Node, old: &Branch, new: &Branch) -> Result<bool> {
    match (old, new) {
        (Branch::File(old), Branch::File(new))
        | (Branch::HostDevice(old), Branch::HostDevice(new)) => {
            same(old.filename == new.filename, "filename")?;
            kept(&old.locking, &new.locking, "locking")?;
            kept(&old.aio, &new.aio, "aio")?;
            Ok(false)
        }
        (Branch::NullCo(old), Branch::NullCo(new))
        | (Branch::NullAio(old), Branch::NullAio(new)) => {
            kept(&old.size, &new.size, "size")?;
            kept(&old.latency_ns, &new.latency_ns, "latency-ns")?;
            kept(&old.read_zeroes, &new.read_zeroes, "read-zeroes")?;
            Ok(false)
        }
        (Branch::Raw(old), Branch::Raw(new)) => {
            Ok(old.offset != new.offset || old.size != new.size)
        }
        (Branch::Qcow2(_), Branch::Qcow2(_)) => Ok(false),
        (Branch::Nbd(old), Branch::Nbd(new)) => {
            same(old.server == new.server, "server")?;
            kept(&old.export, &new.export, "export")?;
            Ok(false)
        }
        (Branch::Throttle(old), Branch::Throttle(new)) => {
            Ok(old.throttle_group != new.throttle_group)
        }
        (Branch::CopyOnRead(_), Branch::CopyOnRead(_)) => Err(Error::NoReopen {
            driver: node.driver(),
            node: node.name().to_owned(),
        }),
        (Branch::Blkdebug(old), Branch::Blkdebug(new)) => {
            kept(&old.inject_error, &new.inject_error, "inject-error")?;
            kept(&old.set_state, &new.set_state, "set-state")?;
            Ok(false)
        }
        _ => same(false, "driver").map(|()| false),
    }
}

fn same(same: bool, name: &str) -> Result<()> {
    match same {
        true => Ok(()),
        false => Err(Error::CannotChange(name.to_owned())),
    }
}

fn kept<T: PartialEq>(old: &Option<T>, new: &Option<T>, name: &'static str) -> Result<()> {
    match (old, new) {
        (Some(_), None) => Err(Error::CannotReset(name)),
        _ => same(old == new, name),
    }
}
