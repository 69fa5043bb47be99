//! Which clusters of the file are in use.

use std::io;

use rustix::io::Errno;

use crate::node::Edge;

use super::corruption::{Hex, overlap, unaligned};
use super::mapping::OFFSET;
use super::meta::{Meta, bytes_of, corrupt};

/// Clusters that one request may ask for at once.
const RUN: u64 = 1 << 16;

impl Meta {
    /// Takes up to `wanted` free clusters that lie together: where, and how many.
    pub(super) async fn allocate(&mut self, file: &Edge, wanted: u64) -> io::Result<(u64, u64)> {
        let first = self.next_free(file, self.free_hint).await?;
        self.free_hint = first;
        let count = self.run(file, first, wanted.clamp(1, RUN)).await?;
        self.take(file, first, count).await
    }

    /// Takes exactly `count` clusters that lie together.
    pub(super) async fn allocate_together(&mut self, file: &Edge, count: u64) -> io::Result<u64> {
        let mut first = self.next_free(file, self.free_hint).await?;
        loop {
            let run = self.run(file, first, count).await?;
            if run < count {
                first = self.next_free(file, first + run).await?;
                continue;
            }
            let (offset, taken) = self.take(file, first, count).await?;
            if taken == count {
                return Ok(offset);
            }
            self.unused.push((offset, taken * self.header.cluster()));
            first = self.free_hint;
        }
    }

    /// The first free cluster from `from` on.
    async fn next_free(&mut self, file: &Edge, mut from: u64) -> io::Result<u64> {
        let (entries, order) = (self.header.refcount_entries(), self.header.refcount_order);
        while let Some(block) = self.block(from / entries)? {
            let counts = self.refcount_block(file, block).await?.bytes();
            let mut rest = from % entries..entries;
            if let Some(free) = rest.find(|index| read(counts, *index as usize, order) == 0) {
                return Ok(from - from % entries + free);
            }
            from = from - from % entries + entries;
            // A large image that is full takes a while.
            tokio::task::yield_now().await;
        }
        Ok(from)
    }

    /// How many clusters from `first` on are free, up to `wanted`.
    async fn run(&mut self, file: &Edge, first: u64, wanted: u64) -> io::Result<u64> {
        let mut count = 0;
        while count < wanted && self.count(file, first + count).await? == 0 {
            count += 1;
        }
        Ok(count)
    }

    /// Marks free clusters as used. Making room for their counts may need some of them itself, so
    /// that is done first and the search begins anew.
    async fn take(&mut self, file: &Edge, first: u64, count: u64) -> io::Result<(u64, u64)> {
        let entries = self.header.refcount_entries();
        for block in first / entries..=(first + count - 1) / entries {
            if self.block(block)?.is_none() {
                self.make_block(file, block).await?;
                return Box::pin(self.allocate(file, count)).await;
            }
        }
        let cluster = self.header.cluster();
        let end = (first + count).checked_mul(cluster);
        let end = end.filter(|end| *end <= OFFSET).ok_or(Errno::FBIG)?;
        let (host, length) = (first * cluster, count * cluster);
        if let Some(table) = self.overlap(host, length) {
            return Err(overlap(host, length, table));
        }
        for index in first..first + count {
            self.add(file, index, 1).await?;
        }
        if first == self.free_hint {
            self.free_hint = first + count;
        }
        Ok((end - count * cluster, count))
    }

    /// Counts a range of the file one down; what is free then may be given back to the host.
    async fn release(&mut self, file: &Edge, host: u64, length: u64) -> io::Result<()> {
        let cluster = self.header.cluster();
        let last = (host + length.max(1) - 1) / cluster;
        for index in host / cluster..=last {
            if self.add(file, index, -1).await? > 0 {
                continue;
            }
            self.free_hint = self.free_hint.min(index);
            let offset = index * cluster;
            self.tables.remove(&offset);
            self.forget(offset);
            if self.discards {
                // The space is ours again whether or not the host takes it back.
                let _ = file.discard(offset..offset + cluster).await;
            }
        }
        Ok(())
    }

    /// Counts down what is not used any more. Nothing leads to it by now.
    pub(super) async fn free_unused(&mut self, file: &Edge) -> io::Result<()> {
        for (host, length) in std::mem::take(&mut self.unused) {
            // What cannot be counted down is lost space, no more.
            let _ = self.release(file, host, length).await;
        }
        Ok(())
    }

    /// How often a cluster of the file is used.
    async fn count(&mut self, file: &Edge, cluster: u64) -> io::Result<u64> {
        let entries = self.header.refcount_entries();
        let Some(block) = self.block(cluster / entries)? else {
            return Ok(0);
        };
        let order = self.header.refcount_order;
        let table = self.refcount_block(file, block).await?;
        Ok(read(table.bytes(), (cluster % entries) as usize, order))
    }

    /// Counts a cluster up or down and returns its new count.
    async fn add(&mut self, file: &Edge, cluster: u64, change: i64) -> io::Result<u64> {
        let entries = self.header.refcount_entries();
        let block = self.block(cluster / entries)?.ok_or_else(corrupt)?;
        let order = self.header.refcount_order;
        let index = (cluster % entries) as usize;
        let table = self.refcount_block(file, block).await?;
        let count = read(table.bytes(), index, order).checked_add_signed(change);
        let highest = u64::MAX >> (64 - (1_u32 << order));
        let count = count
            .filter(|count| *count <= highest)
            .ok_or_else(corrupt)?;
        write(table.change(), index, order, count);
        Ok(count)
    }

    async fn refcount_block(
        &mut self,
        file: &Edge,
        offset: u64,
    ) -> io::Result<&mut super::meta::Table> {
        if self.refcounts.is_full() && !self.refcounts.has(offset) {
            // Counts that are written early lose space in a crash, no more.
            self.refcounts.write(file).await?;
            self.refcounts.evict();
        }
        let size = self.header.cluster() as usize;
        self.refcounts.table(file, offset, size).await
    }

    /// Where the counts of a region are, if they are anywhere.
    fn block(&self, index: u64) -> io::Result<Option<u64>> {
        let entry = usize::try_from(index).ok();
        let entry = entry.and_then(|index| self.refcount_table.get(index));
        let offset = entry.copied().unwrap_or(0) & OFFSET;
        if !offset.is_multiple_of(self.header.cluster()) {
            return Err(unaligned(
                format_args!("Refblock offset {}", Hex(offset)),
                format_args!("reftable index: {}", Hex(index)),
            ));
        }
        Ok((offset != 0).then_some(offset))
    }

    /// Makes a block of counts for a region that has none, in the region's first cluster: it
    /// counts itself.
    async fn make_block(&mut self, file: &Edge, index: u64) -> io::Result<()> {
        if index >= self.refcount_table.len() as u64 {
            return self.grow_table(file, index).await;
        }
        let offset = self.region(index)?;
        let mut counts = vec![0; self.header.cluster() as usize];
        write(&mut counts, 0, self.header.refcount_order, 1);
        self.refcounts.put(offset, counts);
        self.hook_refcount_block(index as usize, offset);
        Ok(())
    }

    /// Makes a larger table of blocks in a region that is free: its block, then the table.
    async fn grow_table(&mut self, file: &Edge, index: u64) -> io::Result<()> {
        self.write_back(file).await?;
        let cluster = self.header.cluster();
        let entries = (index + 1).max(self.refcount_table.len() as u64 * 3 / 2);
        let clusters = (entries * 8).div_ceil(cluster);
        if clusters + 1 > self.header.refcount_entries() {
            return Err(Errno::FBIG.into());
        }
        let offset = self.region(index)?;
        let mut counts = vec![0; cluster as usize];
        for used in 0..=clusters {
            write(&mut counts, used as usize, self.header.refcount_order, 1);
        }
        let old = (
            self.header.refcount_table_offset,
            self.refcount_table.len() as u64 * 8,
        );
        let mut table = self.refcount_table.clone();
        table.resize((clusters * cluster / 8) as usize, 0);
        table[index as usize] = offset;
        file.write(offset, &counts).await?;
        file.write(offset + cluster, &bytes_of(&table)).await?;
        file.flush().await?;
        let mut fields = [0; 12];
        fields[..8].copy_from_slice(&(offset + cluster).to_be_bytes());
        fields[8..].copy_from_slice(&(clusters as u32).to_be_bytes());
        file.write(48, &fields).await?;
        file.flush().await?;
        self.header.refcount_table_offset = offset + cluster;
        self.header.refcount_table_clusters = clusters as u32;
        self.refcount_table = table;
        self.tables.insert(offset);
        self.unused.push(old);
        Ok(())
    }

    /// Where the clusters of a region begin that has no counts yet.
    fn region(&self, index: u64) -> io::Result<u64> {
        let bytes = self.header.refcount_entries() * self.header.cluster();
        let offset = index
            .checked_mul(bytes)
            .filter(|offset| *offset <= OFFSET - bytes);
        let offset = offset.ok_or(Errno::FBIG)?;
        match self.overlap(offset, self.header.cluster()) {
            Some(table) => Err(overlap(offset, self.header.cluster(), table)),
            None => Ok(offset),
        }
    }
}

/// A count of `1 << order` bits. Counts of less than a byte begin at the lowest bit.
fn read(block: &[u8], index: usize, order: u32) -> u64 {
    if order < 3 {
        let per_byte = 8 >> order;
        let bits = 1 << order;
        let byte = block.get(index / per_byte).copied().unwrap_or(0);
        let mask = (1_u16 << bits) - 1;
        return u64::from(u16::from(byte) >> (index % per_byte * bits) & mask);
    }
    let bytes = 1 << (order - 3);
    let count = block.get(index * bytes..(index + 1) * bytes);
    count.map_or(0, |count| {
        count
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    })
}

fn write(block: &mut [u8], index: usize, order: u32, count: u64) {
    if order < 3 {
        let per_byte = 8 >> order;
        let bits = 1 << order;
        let mask = ((1_u16 << bits) - 1) << (index % per_byte * bits);
        let value = (count as u16) << (index % per_byte * bits);
        if let Some(byte) = block.get_mut(index / per_byte) {
            *byte = (u16::from(*byte) & !mask | value & mask) as u8;
        }
        return;
    }
    let bytes = 1 << (order - 3);
    if let Some(place) = block.get_mut(index * bytes..(index + 1) * bytes) {
        place.copy_from_slice(&count.to_be_bytes()[8 - bytes..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_every_width() {
        for order in 0..=6 {
            let mut block = vec![0; 64];
            let highest = u64::MAX >> (64 - (1_u32 << order));
            for index in [0, 1, 3, 7] {
                write(&mut block, index, order, highest);
                assert_eq!(read(&block, index, order), highest, "order {order}");
            }
            assert_eq!(read(&block, 2, order), 0, "order {order}");
            write(&mut block, 1, order, 0);
            assert_eq!(read(&block, 1, order), 0, "order {order}");
            assert_eq!(read(&block, 0, order), highest, "order {order}");
        }
        let mut block = [0; 4];
        write(&mut block, 1, 4, 0x1234);
        assert_eq!(block, [0, 0, 0x12, 0x34]);
    }
}
