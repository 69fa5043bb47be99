//! New options for nodes that are in use.

use std::sync::Arc;

use tinamou_api as api;
use tinamou_api::BlockdevOptionsBranch as Branch;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::node::{Node, NodeOptions};
use crate::open;

/// One node and what it is to be.
struct Change {
    node: Arc<Node>,
    new: NodeOptions,
    old: NodeOptions,
    made_from: Arc<api::BlockdevOptions>,
}

/// Changes all nodes or none.
pub(crate) async fn nodes(graph: &Graph, options: Vec<api::BlockdevOptions>) -> Result<()> {
    let prepare = |options| prepare(graph, options);
    let changes: Vec<Change> = options.into_iter().map(prepare).collect::<Result<_>>()?;
    for (done, change) in changes.iter().enumerate() {
        let made_from = Some(Arc::clone(&change.made_from));
        let changed = change.node.reopen(change.new.clone(), made_from).await;
        let Err(error) = changed else { continue };
        for undo in changes[..done].iter().rev() {
            // What could be opened before can be opened again, or stays as it is.
            let made_from = undo.node.made_from();
            let _ = undo.node.reopen(undo.old.clone(), made_from).await;
        }
        return Err(error);
    }
    Ok(())
}

fn prepare(graph: &Graph, options: api::BlockdevOptions) -> Result<Change> {
    let name = options.node_name.as_ref().ok_or(Error::ReopenName)?;
    let node = graph
        .find(name)
        .ok_or_else(|| Error::NoNode(name.clone()))?;
    let made_from = node.made_from().ok_or(Error::CannotChange("driver"))?;
    unchanged(&node, &made_from.branch, &options.branch)?;
    Ok(Change {
        new: open::common(&options, &open::Inherited::default())?,
        old: node.options(),
        node,
        made_from: Arc::new(options),
    })
}

/// Only what is the same for all drivers may change; the rest must be as it was.
fn unchanged(node: &Node, old: &Branch, new: &Branch) -> Result<()> {
    let same = |same: bool, name| {
        if same {
            Ok(())
        } else {
            Err(Error::CannotChange(name))
        }
    };
    let child = |role, child: &api::BlockdevRef| same(is_child(node, role, child), role);
    match (old, new) {
        (Branch::File(old), Branch::File(new))
        | (Branch::HostDevice(old), Branch::HostDevice(new)) => {
            same(old.filename == new.filename, "filename")?;
            same(old.locking == new.locking, "locking")
        }
        (Branch::NullCo(old), Branch::NullCo(new))
        | (Branch::NullAio(old), Branch::NullAio(new)) => {
            same(old.size == new.size, "size")?;
            same(old.latency_ns == new.latency_ns, "latency-ns")?;
            same(old.read_zeroes == new.read_zeroes, "read-zeroes")
        }
        (Branch::Raw(old), Branch::Raw(new)) => {
            child("file", &new.base.file)?;
            same(old.offset == new.offset, "offset")?;
            same(old.size == new.size, "size")
        }
        (Branch::Qcow2(_), Branch::Qcow2(new)) => {
            child("file", &new.base.base.file)?;
            match new.base.backing.as_deref() {
                Some(api::BlockdevRefOrNull::Reference(name)) => {
                    child("backing", &api::BlockdevRef::Reference(name.clone()))
                }
                Some(api::BlockdevRefOrNull::Null(())) => {
                    let none = node.children().iter().all(|(role, _)| *role != "backing");
                    same(none, "backing")
                }
                _ => Ok(()),
            }
        }
        (Branch::Nbd(old), Branch::Nbd(new)) => {
            same(old.server == new.server, "server")?;
            same(old.export == new.export, "export")
        }
        (Branch::Throttle(old), Branch::Throttle(new)) => {
            child("file", &new.file)?;
            same(old.throttle_group == new.throttle_group, "throttle-group")
        }
        (Branch::CopyOnRead(_), Branch::CopyOnRead(new)) => child("file", &new.base.file),
        (Branch::Blkdebug(old), Branch::Blkdebug(new)) => {
            child("image", &new.image)?;
            same(old.inject_error == new.inject_error, "inject-error")?;
            same(old.set_state == new.set_state, "set-state")
        }
        _ => Err(Error::CannotChange("driver")),
    }
}

/// Whether a reference means the node that is there.
fn is_child(node: &Node, role: &str, wanted: &api::BlockdevRef) -> bool {
    let wanted = match wanted {
        api::BlockdevRef::Reference(name) => Some(name),
        api::BlockdevRef::Definition(options) => options.node_name.as_ref(),
    };
    let mut children = node.children().into_iter();
    let child = children.find(|(of, _)| *of == role);
    child.is_some_and(|(_, child)| wanted.is_none_or(|name| name == child.name()))
}
