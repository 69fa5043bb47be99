//! `block-core.json`: nodes, and the disks that use them.

use tinamou_api as api;
use tinamou_block as block;
use tinamou_block::Graph;
use tinamou_monitor::{Call, Responder};
use tinamou_qmp::{Error, Result};

use crate::blocks::wire;
use crate::vm::Vm;

/// `query-block`
pub fn query_block(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::BlockInfo>> {
    let disks = vm.blocks.backends();
    let info = |disk: &_| block::block_info(disk, false);
    Ok(disks.iter().filter_map(|disk| info(disk)).collect())
}

/// `query-blockstats`
pub fn query_blockstats(
    vm: &mut Vm,
    _: &mut Call,
    args: api::QueryBlockstatsArguments,
) -> Result<Vec<api::BlockStats>> {
    if args.query_nodes == Some(true) {
        return Ok(vm.blocks.nodes().iter().map(block::node_stats).collect());
    }
    let disks = vm.blocks.backends();
    Ok(disks
        .iter()
        .filter_map(|disk| block::block_stats(disk))
        .collect())
}

/// `query-named-block-nodes`
pub fn query_named_block_nodes(
    vm: &mut Vm,
    _: &mut Call,
    args: api::QueryNamedBlockNodesArguments,
) -> Result<Vec<api::BlockDeviceInfo>> {
    let flat = args.flat.unwrap_or(false);
    let nodes = vm.blocks.nodes();
    // The newest comes first.
    Ok(nodes
        .iter()
        .rev()
        .map(|node| block::node_info(node, flat))
        .collect())
}

/// `blockdev-add`
pub fn blockdev_add(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockdevOptions,
    responder: Responder<api::Empty>,
) {
    answer(vm, responder, async move |blocks| {
        blocks.add(args).await.map_err(wire)?;
        Ok(())
    });
}

/// `blockdev-del`
pub fn blockdev_del(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockdevDelArguments,
    responder: Responder<api::Empty>,
) {
    answer(vm, responder, async move |blocks| {
        blocks.delete(&args.node_name).await.map_err(wire)
    });
}

/// `blockdev-reopen`
pub fn blockdev_reopen(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockdevReopenArguments,
    responder: Responder<api::Empty>,
) {
    answer(vm, responder, async move |blocks| {
        blocks.reopen(args.options).await.map_err(wire)
    });
}

/// `block_resize`
pub fn block_resize(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockResizeArguments,
    responder: Responder<api::Empty>,
) {
    answer(vm, responder, async move |blocks| {
        let node = blocks.lookup(args.device.as_deref(), args.node_name.as_deref());
        let node = node.map_err(wire)?;
        let size =
            u64::try_from(args.size).map_err(|_| Error::expects(Some("size"), "a >0 size"))?;
        blocks.resize(&node, size).await.map_err(wire)
    });
}

/// `block-set-write-threshold`
pub fn block_set_write_threshold(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockSetWriteThresholdArguments,
) -> Result<api::Empty> {
    let name = &args.node_name;
    let not_found = || Error::generic(format!("Device '{name}' not found"));
    let node = vm.blocks.find(name).ok_or_else(not_found)?;
    node.set_write_threshold(args.write_threshold);
    Ok(api::Empty {})
}

/// Does on the device thread what takes time, and answers then.
pub(super) fn answer<F>(
    vm: &Vm,
    responder: Responder<api::Empty>,
    work: impl FnOnce(Graph) -> F + Send + 'static,
) where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let blocks = vm.blocks.clone();
    let work = work(blocks);
    vm.device_thread.spawn(async move {
        let done = work.await;
        responder.respond(done.map(|()| api::Empty {}));
    });
}
