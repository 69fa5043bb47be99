//! The graph in the schema's words.

use std::sync::Arc;
use std::time::Duration;

use tinamou_api as api;

use crate::accounting::{Histogram, Operation, Summary, nanoseconds};
use crate::backend::BlockBackend;
use crate::driver::Specific;
use crate::node::{DetectZeroes, Node};
use crate::throttle::{Bucket, Limits, Rate};

/// An element of `query-block`; `None` for what is neither a drive nor in use.
pub fn block_info(backend: &BlockBackend, flat: bool) -> Option<api::BlockInfo> {
    let disk = backend.attached();
    if backend.name().is_empty() && disk.is_none() {
        return None;
    }
    let tray = backend.tray();
    Some(api::BlockInfo {
        device: backend.name().to_owned(),
        qdev: disk.as_ref().map(|disk| disk.id.clone()),
        r#type: "unknown".into(),
        removable: tray.is_some() || disk.is_none(),
        locked: tray.is_some_and(|tray| tray.locked),
        inserted: backend.medium().map(|node| {
            let mut info = node_info(&node, flat);
            info.cache.writeback = backend.write_cache();
            limit(&mut info, backend);
            info
        }),
        tray_open: tray.map(|tray| tray.open),
        io_status: backend.io_status(),
    })
}

/// An element of `query-named-block-nodes`.
pub fn node_info(node: &Arc<Node>, flat: bool) -> api::BlockDeviceInfo {
    let options = node.options();
    let backing = backing(node);
    let image = image(node, flat);
    api::BlockDeviceInfo {
        file: node.filename(),
        node_name: Some(node.name().to_owned()),
        ro: node.is_read_only(),
        drv: node.driver().into(),
        backing_file: backing.as_ref().map(|backing| backing.filename()),
        backing_file_depth: if flat { 0 } else { depth(node) },
        active: true,
        encrypted: false,
        detect_zeroes: match options.detect_zeroes {
            DetectZeroes::Off => api::BlockdevDetectZeroesOptions::Off,
            DetectZeroes::On => api::BlockdevDetectZeroesOptions::On,
            DetectZeroes::Unmap => api::BlockdevDetectZeroesOptions::Unmap,
        },
        bps: 0,
        bps_rd: 0,
        bps_wr: 0,
        iops: 0,
        iops_rd: 0,
        iops_wr: 0,
        image,
        bps_max: None,
        bps_rd_max: None,
        bps_wr_max: None,
        iops_max: None,
        iops_rd_max: None,
        iops_wr_max: None,
        bps_max_length: None,
        bps_rd_max_length: None,
        bps_wr_max_length: None,
        iops_max_length: None,
        iops_rd_max_length: None,
        iops_wr_max_length: None,
        iops_size: None,
        group: None,
        cache: api::BlockdevCacheInfo {
            writeback: true,
            direct: options.direct,
            no_flush: options.no_flush,
        },
        write_threshold: signed(node.write_threshold()),
    }
}

/// An element of `query-blockstats`; `None` for what is neither a drive nor in use.
pub fn block_stats(backend: &BlockBackend) -> Option<api::BlockStats> {
    let disk = backend.attached();
    if backend.name().is_empty() && disk.is_none() {
        return None;
    }
    let medium = backend.medium();
    let mut stats = match &medium {
        Some(node) => node_stats(node),
        None => api::BlockStats {
            device: None,
            qdev: None,
            node_name: None,
            stats: counters(0),
            driver_specific: None,
            parent: None,
            backing: None,
        },
    };
    stats.device = Some(backend.name().to_owned());
    stats.qdev = disk.map(|disk| disk.id);
    count(&mut stats.stats, backend);
    Some(stats)
}

/// An element of `query-blockstats` with `query-nodes`.
pub fn node_stats(node: &Arc<Node>) -> api::BlockStats {
    let child = |role: &str| {
        let mut children = node.children().into_iter();
        let child = children.find(|(of, _)| *of == role);
        child.map(|(_, child)| Box::new(node_stats(&child)))
    };
    api::BlockStats {
        device: None,
        qdev: None,
        node_name: Some(node.name().to_owned()),
        stats: counters(node.highest_write()),
        driver_specific: node.specific().map(|specific| specific_of(node, specific)),
        parent: child("file").or_else(|| child("image")),
        backing: child("backing"),
    }
}

fn specific_of(node: &Node, specific: Specific) -> api::BlockStatsSpecific {
    let Specific::Discards { ok, failed, bytes } = specific;
    let counted = api::BlockStatsSpecificFile {
        discard_nb_ok: ok,
        discard_nb_failed: failed,
        discard_bytes_ok: bytes,
    };
    let branch = match node.driver() {
        "host_device" => api::BlockStatsSpecificBranch::HostDevice(counted),
        _ => api::BlockStatsSpecificBranch::File(counted),
    };
    api::BlockStatsSpecific { branch }
}

fn backing(node: &Node) -> Option<Arc<Node>> {
    let mut children = node.children().into_iter();
    children
        .find(|(role, _)| *role == "backing")
        .map(|(_, node)| node)
}

/// How many images are behind, filters not counted.
fn depth(node: &Node) -> i64 {
    match backing(node) {
        Some(backing) => 1 + depth(&backing),
        None => 0,
    }
}

fn image(node: &Arc<Node>, flat: bool) -> api::ImageInfo {
    let mut base = api::BlockNodeInfo {
        filename: node.filename(),
        format: node.driver().into(),
        dirty_flag: None,
        actual_size: None,
        virtual_size: signed(node.size()),
        cluster_size: None,
        encrypted: None,
        compressed: None,
        backing_filename: None,
        full_backing_filename: None,
        backing_filename_format: None,
        format_specific: None,
    };
    node.describe(&mut base);
    let backing = backing(node).filter(|_| !flat);
    api::ImageInfo {
        base,
        backing_image: backing.map(|backing| Box::new(image(&backing, flat))),
    }
}

fn limit(info: &mut api::BlockDeviceInfo, backend: &BlockBackend) {
    let Some(group) = backend.throttle_group() else {
        return;
    };
    let limits = group.limits();
    let rate = |bucket| limits.rate(bucket);
    let average = |bucket| signed(rate(bucket).average);
    info.bps = average(Bucket::BytesTotal);
    info.bps_rd = average(Bucket::BytesRead);
    info.bps_wr = average(Bucket::BytesWrite);
    info.iops = average(Bucket::OpsTotal);
    info.iops_rd = average(Bucket::OpsRead);
    info.iops_wr = average(Bucket::OpsWrite);
    limit_bursts(info, &limits);
    info.iops_size = some(limits.op_size);
    info.group = Some(group.name().to_owned());
}

fn limit_bursts(info: &mut api::BlockDeviceInfo, limits: &Limits) {
    let burst = |bucket| some(limits.rate(bucket).burst);
    let length = |bucket| {
        let Rate {
            burst,
            burst_length,
            ..
        } = limits.rate(bucket);
        (burst > 0).then(|| signed(burst_length))
    };
    info.bps_max = burst(Bucket::BytesTotal);
    info.bps_rd_max = burst(Bucket::BytesRead);
    info.bps_wr_max = burst(Bucket::BytesWrite);
    info.iops_max = burst(Bucket::OpsTotal);
    info.iops_rd_max = burst(Bucket::OpsRead);
    info.iops_wr_max = burst(Bucket::OpsWrite);
    info.bps_max_length = length(Bucket::BytesTotal);
    info.bps_rd_max_length = length(Bucket::BytesRead);
    info.bps_wr_max_length = length(Bucket::BytesWrite);
    info.iops_max_length = length(Bucket::OpsTotal);
    info.iops_rd_max_length = length(Bucket::OpsRead);
    info.iops_wr_max_length = length(Bucket::OpsWrite);
}

/// Counters of a node, which counts little by itself.
fn counters(highest_write: u64) -> api::BlockDeviceStats {
    api::BlockDeviceStats {
        rd_bytes: 0,
        wr_bytes: 0,
        zone_append_bytes: 0,
        unmap_bytes: 0,
        rd_operations: 0,
        wr_operations: 0,
        zone_append_operations: 0,
        flush_operations: 0,
        unmap_operations: 0,
        rd_total_time_ns: 0,
        wr_total_time_ns: 0,
        zone_append_total_time_ns: 0,
        flush_total_time_ns: 0,
        unmap_total_time_ns: 0,
        wr_highest_offset: signed(highest_write),
        rd_merged: 0,
        wr_merged: 0,
        zone_append_merged: 0,
        unmap_merged: 0,
        idle_time_ns: None,
        failed_rd_operations: 0,
        failed_wr_operations: 0,
        failed_zone_append_operations: 0,
        failed_flush_operations: 0,
        failed_unmap_operations: 0,
        invalid_rd_operations: 0,
        invalid_wr_operations: 0,
        invalid_zone_append_operations: 0,
        invalid_flush_operations: 0,
        invalid_unmap_operations: 0,
        account_invalid: false,
        account_failed: false,
        timed_stats: Vec::new(),
        rd_latency_histogram: None,
        wr_latency_histogram: None,
        zone_append_latency_histogram: None,
        flush_latency_histogram: None,
    }
}

fn count(to: &mut api::BlockDeviceStats, backend: &BlockBackend) {
    let stats = backend.stats();
    let [read, write, flush, unmap] = Operation::ALL.map(|operation| stats.counters(operation));
    to.rd_bytes = signed(read.bytes);
    to.rd_operations = signed(read.operations);
    to.rd_total_time_ns = time(read.time);
    to.rd_merged = signed(read.merged);
    to.failed_rd_operations = signed(read.failed);
    to.invalid_rd_operations = signed(read.invalid);
    to.wr_bytes = signed(write.bytes);
    to.wr_operations = signed(write.operations);
    to.wr_total_time_ns = time(write.time);
    to.wr_merged = signed(write.merged);
    to.failed_wr_operations = signed(write.failed);
    to.invalid_wr_operations = signed(write.invalid);
    to.flush_operations = signed(flush.operations);
    to.flush_total_time_ns = time(flush.time);
    to.failed_flush_operations = signed(flush.failed);
    to.invalid_flush_operations = signed(flush.invalid);
    to.unmap_bytes = signed(unmap.bytes);
    to.unmap_operations = signed(unmap.operations);
    to.unmap_total_time_ns = time(unmap.time);
    to.unmap_merged = signed(unmap.merged);
    to.failed_unmap_operations = signed(unmap.failed);
    to.invalid_unmap_operations = signed(unmap.invalid);
    to.idle_time_ns = stats.idle().map(time);
    (to.account_invalid, to.account_failed) = stats.accounts();
    to.timed_stats = stats.intervals().iter().map(timed).collect();
    to.rd_latency_histogram = read.histogram.as_ref().map(histogram);
    to.wr_latency_histogram = write.histogram.as_ref().map(histogram);
    to.zone_append_latency_histogram = stats.zone_append_histogram().as_ref().map(histogram);
    to.flush_latency_histogram = flush.histogram.as_ref().map(histogram);
}

fn timed(summary: &Summary) -> api::BlockDeviceTimedStats {
    let latency = |operation: Operation| {
        let (min, max, mean) = summary.latency[operation as usize];
        (time(min), time(max), time(mean))
    };
    let (min_rd, max_rd, avg_rd) = latency(Operation::Read);
    let (min_wr, max_wr, avg_wr) = latency(Operation::Write);
    let (min_flush, max_flush, avg_flush) = latency(Operation::Flush);
    api::BlockDeviceTimedStats {
        interval_length: summary.seconds.into(),
        min_rd_latency_ns: min_rd,
        max_rd_latency_ns: max_rd,
        avg_rd_latency_ns: avg_rd,
        min_wr_latency_ns: min_wr,
        max_wr_latency_ns: max_wr,
        avg_wr_latency_ns: avg_wr,
        min_zone_append_latency_ns: 0,
        max_zone_append_latency_ns: 0,
        avg_zone_append_latency_ns: 0,
        min_flush_latency_ns: min_flush,
        max_flush_latency_ns: max_flush,
        avg_flush_latency_ns: avg_flush,
        avg_rd_queue_depth: summary.depth[Operation::Read as usize],
        avg_wr_queue_depth: summary.depth[Operation::Write as usize],
        avg_zone_append_queue_depth: 0.0,
    }
}

fn histogram(histogram: &Histogram) -> api::BlockLatencyHistogramInfo {
    api::BlockLatencyHistogramInfo {
        boundaries: histogram.boundaries().to_vec(),
        bins: histogram.bins().to_vec(),
    }
}

fn time(time: Duration) -> i64 {
    signed(nanoseconds(time))
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn some(value: u64) -> Option<i64> {
    (value > 0).then(|| signed(value))
}
