//! The tables of an image in memory, and when they are written.
//!
//! Tables are changed in memory and written when the guest flushes, or when room is needed, in an
//! order in which no crash leaves an entry that leads to a cluster counted as free: reference
//! counts first, then second-level tables, then the first level. Clusters that are not used any
//! more are counted as free only after that.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::node::Edge;

use super::corruption::{Hex, unaligned};
use super::header::Header;
use super::mapping::{COPIED, Mapping, OFFSET};

/// Bytes of second-level tables and of reference counts kept in memory, unless told otherwise.
const CACHE: u64 = 32 << 20;

/// Ranges that may wait to be counted as free.
const UNUSED: usize = 1 << 14;

/// All that is known of the tables.
pub(super) struct Meta {
    pub(super) header: Header,
    pub(super) l1: Vec<u64>,
    l1_dirty: bool,
    l2: Cache,
    pub(super) refcount_table: Vec<u64>,
    refcount_table_dirty: bool,
    pub(super) refcounts: Cache,
    /// Clusters that hold second-level tables or reference counts, by offset.
    pub(super) tables: HashSet<u64>,
    /// Ranges of the file whose last user has gone.
    pub(super) unused: Vec<(u64, u64)>,
    /// The host gets back what is free.
    pub(super) discards: bool,
    /// No cluster below this index is free.
    pub(super) free_hint: u64,
    /// Guest clusters that a request is giving a place to.
    pub(super) allocating: HashSet<u64>,
}

/// Tables by offset in the file.
#[derive(Default)]
pub(super) struct Cache {
    tables: HashMap<u64, Table>,
    limit: usize,
    clock: u64,
}

pub(super) struct Table {
    bytes: Vec<u8>,
    dirty: bool,
    used: u64,
}

impl Meta {
    /// Reads the tables that are kept whole.
    pub(super) async fn load(file: &Edge, header: Header, discards: bool) -> io::Result<Self> {
        let l1 = numbers(file, header.l1_offset, header.l1_size as usize).await?;
        let clusters = u64::from(header.refcount_table_clusters);
        let entries = (clusters * header.cluster() / 8) as usize;
        let refcount_table = numbers(file, header.refcount_table_offset, entries).await?;
        let l2_tables = l1.iter().map(|entry| entry & OFFSET);
        let blocks = refcount_table.iter().map(|entry| entry & OFFSET);
        let tables = l2_tables
            .chain(blocks)
            .filter(|offset| *offset != 0)
            .collect();
        let limit = (CACHE / header.cluster()).max(8) as usize;
        Ok(Self {
            header,
            l1,
            l1_dirty: false,
            l2: Cache::new(limit),
            refcount_table,
            refcount_table_dirty: false,
            refcounts: Cache::new(limit),
            tables,
            unused: Vec::new(),
            discards,
            free_hint: 0,
            allocating: HashSet::new(),
        })
    }

    /// The entry for the guest's byte at `offset`.
    pub(super) async fn mapping(&mut self, file: &Edge, offset: u64) -> io::Result<Mapping> {
        let Some(table) = self.l2_offset(offset)? else {
            return Ok(Mapping::Unallocated);
        };
        let index = self.l2_index(offset);
        let entry = self.l2(file, table).await?.number(index);
        self.decode(entry, table, index)
    }

    /// What an entry of a second-level table means.
    fn decode(&self, entry: u64, table: u64, index: usize) -> io::Result<Mapping> {
        Mapping::decode(entry, &self.header).ok_or_else(|| {
            let (cluster, table, index) = (Hex(entry & OFFSET), Hex(table), Hex(index as u64));
            unaligned(
                format_args!("Cluster allocation offset {cluster}"),
                format_args!("L2 offset: {table}, L2 index: {index}"),
            )
        })
    }

    /// Changes the entry for the guest's cluster at `offset` and returns what it was.
    pub(super) async fn set_mapping(
        &mut self,
        file: &Edge,
        offset: u64,
        entry: u64,
    ) -> io::Result<Mapping> {
        let table = self.own_l2(file, offset).await?;
        let index = self.l2_index(offset);
        let old = self.l2(file, table).await?.number(index);
        let old = self.decode(old, table, index)?;
        self.l2(file, table).await?.replace(index, entry);
        Ok(old)
    }

    /// Where the second-level table for `offset` is, if there is one.
    fn l2_offset(&self, offset: u64) -> io::Result<Option<u64>> {
        let index = (offset / self.header.l2_span()) as usize;
        let entry = self.l1.get(index).copied().unwrap_or(0) & OFFSET;
        if !entry.is_multiple_of(self.header.cluster()) {
            return Err(unaligned(
                format_args!("L2 table offset {}", Hex(entry)),
                format_args!("L1 index: {}", Hex(index as u64)),
            ));
        }
        Ok((entry != 0).then_some(entry))
    }

    fn l2_index(&self, offset: u64) -> usize {
        (offset / self.header.cluster() % self.header.l2_entries()) as usize
    }

    async fn l2(&mut self, file: &Edge, offset: u64) -> io::Result<&mut Table> {
        if self.l2.is_full() && !self.l2.has(offset) {
            self.write_back(file).await?;
            self.l2.evict();
        }
        let size = self.header.cluster() as usize;
        self.l2.table(file, offset, size).await
    }

    /// A second-level table for `offset` that may be changed: one is made if there is none, and
    /// copied if a snapshot uses it too.
    async fn own_l2(&mut self, file: &Edge, offset: u64) -> io::Result<u64> {
        let index = (offset / self.header.l2_span()) as usize;
        let entry = *self.l1.get(index).ok_or_else(corrupt)?;
        let old = self.l2_offset(offset)?;
        if let Some(old) = old
            && entry & COPIED != 0
        {
            return Ok(old);
        }
        let bytes = match old {
            Some(old) => self.l2(file, old).await?.bytes.clone(),
            None => vec![0; self.header.cluster() as usize],
        };
        let (new, _) = self.allocate(file, 1).await?;
        if self.l2.is_full() {
            self.write_back(file).await?;
            self.l2.evict();
        }
        self.l2.put(new, bytes);
        self.tables.insert(new);
        self.l1[index] = new | COPIED;
        self.l1_dirty = true;
        if let Some(old) = old {
            self.unused.push((old, self.header.cluster()));
        }
        Ok(new)
    }

    /// Puts a larger first-level table in place, or the same with other entries.
    pub(super) async fn grow_l1(&mut self, file: &Edge, entries: usize) -> io::Result<()> {
        if entries <= self.l1.len() {
            return Ok(());
        }
        self.write_back(file).await?;
        let cluster = self.header.cluster();
        let clusters = (entries as u64 * 8).div_ceil(cluster);
        let new = self.allocate_together(file, clusters).await?;
        let old = (self.header.l1_offset, u64::from(self.header.l1_size) * 8);
        self.l1.resize((clusters * cluster / 8) as usize, 0);
        self.write_refcounts(file).await?;
        file.write(new, &bytes_of(&self.l1)).await?;
        file.flush().await?;
        self.header.l1_offset = new;
        self.header.l1_size = self.l1.len() as u32;
        let mut fields = [0; 12];
        fields[..4].copy_from_slice(&self.header.l1_size.to_be_bytes());
        fields[4..].copy_from_slice(&new.to_be_bytes());
        file.write(36, &fields).await?;
        file.flush().await?;
        self.unused.push(old);
        Ok(())
    }

    /// A cluster that held a second-level table is free.
    pub(super) fn forget(&mut self, offset: u64) {
        self.l2.tables.remove(&offset);
    }

    /// The table of reference count blocks has another entry.
    pub(super) fn hook_refcount_block(&mut self, index: usize, offset: u64) {
        self.refcount_table[index] = offset;
        self.refcount_table_dirty = true;
        self.tables.insert(offset);
    }

    /// Writes what was changed, each kind of table before those that lead to it, and then counts
    /// as free what is not used any more.
    pub(super) async fn write_back(&mut self, file: &Edge) -> io::Result<()> {
        self.write_refcounts(file).await?;
        if self.l2.is_dirty() {
            file.flush().await?;
            self.l2.write(file).await?;
        }
        if self.l1_dirty {
            file.flush().await?;
            file.write(self.header.l1_offset, &bytes_of(&self.l1))
                .await?;
            self.l1_dirty = false;
        }
        if !self.unused.is_empty() {
            file.flush().await?;
            self.free_unused(file).await?;
            self.refcounts.write(file).await?;
        }
        Ok(())
    }

    /// Writes back if too much waits to be counted as free.
    pub(super) async fn settle_unused(&mut self, file: &Edge) -> io::Result<()> {
        match self.unused.len() > UNUSED {
            true => self.write_back(file).await,
            false => Ok(()),
        }
    }

    async fn write_refcounts(&mut self, file: &Edge) -> io::Result<()> {
        self.refcounts.write(file).await?;
        if self.refcount_table_dirty {
            file.flush().await?;
            let offset = self.header.refcount_table_offset;
            file.write(offset, &bytes_of(&self.refcount_table)).await?;
            self.refcount_table_dirty = false;
        }
        Ok(())
    }

    /// What a write of data to a range of the file would hit that is no data.
    pub(super) fn overlap(&self, host: u64, length: u64) -> Option<&'static str> {
        let end = host.saturating_add(length);
        let hits = |start: u64, bytes: u64| host < start.saturating_add(bytes) && start < end;
        let cluster = self.header.cluster();
        let first = host - host % cluster;
        let mut clusters = (0..end.saturating_sub(first).div_ceil(cluster))
            .map(|index| first + index * cluster)
            .filter(|offset| self.tables.contains(offset));
        let table = clusters.next();
        let counts = |offset: &u64| {
            let mut blocks = self.refcount_table.iter();
            blocks.any(|entry| entry & OFFSET == *offset)
        };
        if hits(0, cluster) {
            return Some("qcow2_header");
        }
        if hits(self.header.l1_offset, self.l1.len() as u64 * 8) {
            return Some("active L1 table");
        }
        if table.is_some_and(|table| !counts(&table)) {
            return Some("active L2 table");
        }
        let refcount_table = self.refcount_table.len() as u64 * 8;
        if hits(self.header.refcount_table_offset, refcount_table) {
            return Some("refcount table");
        }
        table.map(|_| "refcount block")
    }
}

impl Cache {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub(super) fn has(&self, offset: u64) -> bool {
        self.tables.contains_key(&offset)
    }

    pub(super) fn is_full(&self) -> bool {
        self.tables.len() >= self.limit
    }

    fn is_dirty(&self) -> bool {
        self.tables.values().any(|table| table.dirty)
    }

    /// Forgets a half of what is not dirty, the longest unused first.
    pub(super) fn evict(&mut self) {
        let clean = self.tables.iter().filter(|(_, table)| !table.dirty);
        let mut clean: Vec<(u64, u64)> =
            clean.map(|(offset, table)| (table.used, *offset)).collect();
        clean.sort_unstable();
        for (_, offset) in clean.iter().take(self.limit.div_ceil(2)) {
            self.tables.remove(offset);
        }
    }

    /// The table at `offset`, read if need be.
    pub(super) async fn table(
        &mut self,
        file: &Edge,
        offset: u64,
        size: usize,
    ) -> io::Result<&mut Table> {
        self.clock += 1;
        if !self.has(offset) {
            let mut bytes = vec![0; size];
            file.read(offset, &mut bytes).await?;
            let table = Table {
                bytes,
                dirty: false,
                used: 0,
            };
            self.tables.insert(offset, table);
        }
        let table = self.tables.get_mut(&offset).ok_or_else(corrupt)?;
        table.used = self.clock;
        Ok(table)
    }

    /// Puts in a new table, which is to be written.
    pub(super) fn put(&mut self, offset: u64, bytes: Vec<u8>) {
        self.clock += 1;
        let table = Table {
            bytes,
            dirty: true,
            used: self.clock,
        };
        self.tables.insert(offset, table);
    }

    /// Writes the tables that were changed.
    pub(super) async fn write(&mut self, file: &Edge) -> io::Result<()> {
        for (offset, table) in &mut self.tables {
            if table.dirty {
                file.write(*offset, &table.bytes).await?;
                table.dirty = false;
            }
        }
        Ok(())
    }
}

impl Table {
    fn number(&self, index: usize) -> u64 {
        let (numbers, _) = self.bytes.as_chunks::<8>();
        numbers
            .get(index)
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    fn replace(&mut self, index: usize, number: u64) {
        let (numbers, _) = self.bytes.as_chunks_mut::<8>();
        if let Some(bytes) = numbers.get_mut(index) {
            *bytes = number.to_be_bytes();
            self.dirty = true;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn change(&mut self) -> &mut [u8] {
        self.dirty = true;
        &mut self.bytes
    }
}

/// The error for an image that contradicts itself.
pub(super) fn corrupt() -> io::Error {
    rustix::io::Errno::IO.into()
}

async fn numbers(file: &Edge, offset: u64, count: usize) -> io::Result<Vec<u64>> {
    let mut bytes = vec![0; count * 8];
    file.read(offset, &mut bytes).await?;
    let (numbers, _) = bytes.as_chunks::<8>();
    Ok(numbers
        .iter()
        .map(|bytes| u64::from_be_bytes(*bytes))
        .collect())
}

pub(super) fn bytes_of(numbers: &[u64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}
