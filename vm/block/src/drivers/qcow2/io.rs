//! Reading and writing the guest's data.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::mapping::{COPIED, Mapping, ZERO};
use super::meta::{Meta, corrupt};
use super::{Qcow2, compressed};
use crate::driver::Zeroes;

/// Most zeros written in one go.
const ZEROES: usize = 1 << 20;

/// Where a write goes.
enum Plan {
    /// To a place that the guest's clusters have already.
    InPlace { host: u64, length: usize },
    /// To a new place for whole clusters.
    New(New),
}

struct New {
    /// The first guest cluster.
    start: u64,
    clusters: u64,
    host: u64,
    /// What the first and the last cluster were before.
    first: Mapping,
    last: Mapping,
}

impl Qcow2 {
    pub(super) async fn read_all(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let (mapping, length) = self.run(offset, buffer.len()).await?;
            let (part, rest) = buffer.split_at_mut(length);
            self.read_mapped(mapping, offset, part).await?;
            offset += length as u64;
            buffer = rest;
        }
        Ok(())
    }

    /// What is at `offset`, and how far it goes on like that, in one place of the file.
    pub(super) async fn run(&self, offset: u64, wanted: usize) -> io::Result<(Mapping, usize)> {
        let cluster = self.cluster();
        let within = offset % cluster;
        let mut meta = self.meta.lock().await;
        let first = meta.mapping(&self.file, offset).await?;
        let mut length = cluster - within;
        while length < wanted as u64 {
            let next = meta.mapping(&self.file, offset + length).await?;
            if !continues(first, next, within + length) {
                break;
            }
            length += cluster;
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(wanted);
        Ok((first, length))
    }

    /// Reads from where a mapping leads; `offset` is the guest's, and the mapping that of the
    /// cluster it is in.
    async fn read_mapped(
        &self,
        mapping: Mapping,
        offset: u64,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let within = offset % self.cluster();
        match mapping {
            Mapping::Zero { .. } => buffer.fill(0),
            Mapping::Data { host, .. } => {
                let start = host.checked_add(within).ok_or_else(corrupt)?;
                self.file.read(start, buffer).await?;
            }
            Mapping::Compressed { host, length } => {
                let bytes = self.unpack(host, length).await?;
                let start = within as usize;
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
            }
            Mapping::Unallocated => self.read_backing(offset, buffer).await?,
        }
        Ok(())
    }

    async fn read_backing(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let behind = self.backing.as_ref().map_or(0, |backing| backing.size());
        let length = usize::try_from(behind.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (shown, rest) = buffer.split_at_mut(length.min(buffer.len()));
        rest.fill(0);
        match &self.backing {
            Some(backing) if !shown.is_empty() => backing.read(offset, shown).await,
            _ => Ok(()),
        }
    }

    async fn unpack(&self, host: u64, length: u64) -> io::Result<Arc<[u8]>> {
        if let Some(bytes) = self.unpacked.find(host) {
            return Ok(bytes);
        }
        // The last sector may lie behind the end of the file.
        let mut packed = vec![0; length as usize];
        self.file.read(host, &mut packed).await?;
        let bytes = compressed::unpack(&packed, self.cluster() as usize)?;
        self.unpacked.keep(host, &bytes);
        Ok(bytes)
    }

    pub(super) async fn write_all(&self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let length = match self.plan(offset, data.len()).await? {
                Plan::InPlace { host, length } => {
                    self.file.write(host, &data[..length]).await?;
                    length
                }
                Plan::New(new) => self.write_new(&new, offset, data).await?,
            };
            offset += length as u64;
            data = &data[length..];
        }
        Ok(())
    }

    /// Finds or makes a place for as much of a write as lies together.
    async fn plan(&self, offset: u64, wanted: usize) -> io::Result<Plan> {
        loop {
            let allocated = self.allocated.notified();
            match self.try_plan(offset, wanted).await? {
                Some(plan) => return Ok(plan),
                None => allocated.await,
            }
        }
    }

    /// `None` if another request is making a place for the same cluster.
    async fn try_plan(&self, offset: u64, wanted: usize) -> io::Result<Option<Plan>> {
        let cluster = self.cluster();
        let start = offset - offset % cluster;
        let end = (offset + wanted as u64).next_multiple_of(cluster);
        let mut meta = self.meta.lock().await;
        if meta.allocating.contains(&start) {
            return Ok(None);
        }
        let first = meta.mapping(&self.file, offset).await?;
        let in_place = |mapping| matches!(mapping, Mapping::Data { alone: true, .. });
        let mut last = first;
        let mut length = cluster;
        while start + length < end && !meta.allocating.contains(&(start + length)) {
            let next = meta.mapping(&self.file, start + length).await?;
            let same = match in_place(first) {
                true => in_place(next) && continues(first, next, length),
                false => !in_place(next),
            };
            if !same {
                break;
            }
            last = next;
            length += cluster;
        }
        if let Mapping::Data { host, alone: true } = first {
            let within = offset - start;
            let length = (length - within).min(wanted as u64);
            self.check_place(&meta, host + within, length)?;
            return Ok(Some(Plan::InPlace {
                host: host + within,
                length: length as usize,
            }));
        }
        let (host, clusters) = meta.allocate(&self.file, length / cluster).await?;
        if clusters * cluster < length {
            last = meta
                .mapping(&self.file, start + (clusters - 1) * cluster)
                .await?;
        }
        for index in 0..clusters {
            meta.allocating.insert(start + index * cluster);
        }
        Ok(Some(Plan::New(New {
            start,
            clusters,
            host,
            first,
            last,
        })))
    }

    /// Writes to a new place and returns how much of `data` that was. The rest of the clusters
    /// takes over what was there.
    async fn write_new(&self, new: &New, offset: u64, data: &[u8]) -> io::Result<usize> {
        let span = new.clusters * self.cluster();
        let head = offset - new.start;
        let length = data.len().min((span - head) as usize);
        let filled = self.fill(new, head, &data[..length]).await;
        let mut meta = self.meta.lock().await;
        let linked = match filled {
            Ok(()) => self.link(&mut meta, new).await,
            Err(error) => {
                meta.unused.push((new.host, span));
                Err(error)
            }
        };
        for index in 0..new.clusters {
            meta.allocating
                .remove(&(new.start + index * self.cluster()));
        }
        drop(meta);
        self.allocated.notify_waiters();
        linked.map(|()| length)
    }

    async fn fill(&self, new: &New, head: u64, data: &[u8]) -> io::Result<()> {
        let span = new.clusters * self.cluster();
        let tail = head + data.len() as u64;
        // Nothing was ever written behind the end of the file.
        let fresh = new.host >= self.file.size();
        let plain = |mapping, length| length == 0 || fresh && self.reads_as_zeros(mapping);
        if plain(new.first, head) && plain(new.last, span - tail) {
            return self.file.write(new.host + head, data).await;
        }
        let mut bytes = vec![0; span as usize];
        let (before, rest) = bytes.split_at_mut(head as usize);
        let (middle, after) = rest.split_at_mut(data.len());
        middle.copy_from_slice(data);
        if !before.is_empty() {
            self.read_mapped(new.first, new.start, before).await?;
        }
        if !after.is_empty() {
            self.read_mapped(new.last, new.start + tail, after).await?;
        }
        self.file.write(new.host, &bytes).await
    }

    /// Lets the guest's clusters be at their new place. What cannot be is free again.
    async fn link(&self, meta: &mut Meta, new: &New) -> io::Result<()> {
        let cluster = self.cluster();
        for index in 0..new.clusters {
            let (guest, host) = (new.start + index * cluster, new.host + index * cluster);
            let old = match meta.set_mapping(&self.file, guest, host | COPIED).await {
                Ok(old) => old,
                Err(error) => {
                    let rest = (new.clusters - index) * cluster;
                    meta.unused.push((host, rest));
                    return Err(error);
                }
            };
            meta.unused.extend(old.occupied(cluster));
        }
        meta.settle_unused(&self.file).await
    }

    /// Whether a cluster reads as zeros without a look at its content.
    pub(super) fn reads_as_zeros(&self, mapping: Mapping) -> bool {
        match mapping {
            Mapping::Zero { .. } => true,
            Mapping::Unallocated => self.backing.is_none(),
            Mapping::Data { .. } | Mapping::Compressed { .. } => false,
        }
    }

    pub(super) async fn zero(&self, range: Range<u64>, how: Zeroes) -> io::Result<()> {
        let start = range.start.next_multiple_of(self.cluster());
        let end = self.whole_end(range.end);
        if start >= end || self.header.version < 3 {
            let _traffic = self.traffic.read().await;
            return self.write_zeroes_out(range).await;
        }
        {
            let _traffic = self.traffic.read().await;
            self.write_zeroes_out(range.start..start.min(range.end))
                .await?;
            self.write_zeroes_out(end.min(range.end)..range.end).await?;
        }
        let _alone = self.traffic.write().await;
        self.drop_clusters(start..end, !how.unmap).await
    }

    /// Writes zeros where there are none yet.
    async fn write_zeroes_out(&self, range: Range<u64>) -> io::Result<()> {
        let zeroes =
            vec![0; ZEROES.min(usize::try_from(range.end - range.start).unwrap_or(ZEROES))];
        let mut offset = range.start;
        while offset < range.end {
            let rest = usize::try_from(range.end - offset).unwrap_or(ZEROES);
            let (mapping, length) = self.run(offset, rest.min(ZEROES)).await?;
            if !self.reads_as_zeros(mapping) {
                self.write_all(offset, &zeroes[..length]).await?;
            }
            offset += length as u64;
        }
        Ok(())
    }

    /// Lets whole clusters read as zeros; `keep` says to keep their places. In version 2 only
    /// what has nothing behind it can be dropped, and the rest stays as it is.
    pub(super) async fn drop_clusters(&self, range: Range<u64>, keep: bool) -> io::Result<()> {
        let mut meta = self.meta.lock().await;
        let cluster = self.cluster();
        let new = self.header.version >= 3;
        for guest in range.step_by(cluster as usize) {
            let mapping = meta.mapping(&self.file, guest).await?;
            let entry = match mapping {
                Mapping::Zero { host: None, .. } => continue,
                Mapping::Zero { .. } if keep => continue,
                Mapping::Unallocated if self.backing.is_none() => continue,
                Mapping::Data { host, alone } if keep && new => {
                    let alone = if alone { COPIED } else { 0 };
                    host | alone | ZERO
                }
                _ if new => ZERO,
                _ if self.backing.is_none() => 0,
                _ => continue,
            };
            let old = meta.set_mapping(&self.file, guest, entry).await?;
            let kept = entry & !ZERO != 0;
            meta.unused.extend(old.occupied(cluster).filter(|_| !kept));
            meta.settle_unused(&self.file).await?;
        }
        Ok(())
    }

    /// Lets a range read as zeros that was behind the end of the disk.
    pub(super) async fn hide(&self, range: Range<u64>) -> io::Result<()> {
        let start = range.start.next_multiple_of(self.cluster());
        self.write_zeroes_out(range.start..start.min(range.end))
            .await?;
        match self.header.version >= 3 {
            true => {
                self.drop_clusters(start..range.end.next_multiple_of(self.cluster()), false)
                    .await
            }
            false => self.write_zeroes_out(start.min(range.end)..range.end).await,
        }
    }
}

/// Whether a cluster goes on where the one `distance` bytes before it left off.
fn continues(first: Mapping, next: Mapping, distance: u64) -> bool {
    match (first, next) {
        (Mapping::Unallocated, Mapping::Unallocated)
        | (Mapping::Zero { .. }, Mapping::Zero { .. }) => true,
        (Mapping::Data { host: first, .. }, Mapping::Data { host: next, .. }) => {
            first.checked_add(distance) == Some(next)
        }
        _ => false,
    }
}
