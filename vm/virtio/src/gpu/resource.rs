//! Images that the driver draws in its own memory and has copied here.

use std::sync::Arc;

use tinamou_display::{Area, Image, PIXEL};
use tinamou_memory::DmaView;

use super::spec::Fault;

/// A stretch of the driver's memory.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub address: u64,
    pub length: u32,
}

/// An image and where the driver draws it.
#[derive(Debug)]
pub struct Resource {
    pub image: Arc<Image>,
    /// Where in the backing each piece begins, and the piece.
    backing: Option<Vec<(u64, Piece)>>,
}

impl Resource {
    pub fn new(image: Arc<Image>) -> Self {
        Self {
            image,
            backing: None,
        }
    }

    /// What the list of pieces costs the host.
    pub fn backing_cost(pieces: usize) -> u64 {
        (pieces * size_of::<(u64, Piece)>()) as u64
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> usize {
        self.backing.as_ref().map_or(0, Vec::len)
    }

    pub fn has_backing(&self) -> bool {
        self.backing.is_some()
    }

    pub fn attach(&mut self, pieces: &[Piece]) {
        let mut start = 0;
        let placed = pieces.iter().map(|piece| {
            let placed = (start, *piece);
            start += u64::from(piece.length);
            placed
        });
        self.backing = Some(placed.collect());
    }

    /// How many pieces there were.
    pub fn detach(&mut self) -> Option<usize> {
        Some(self.backing.take()?.len())
    }

    /// Copies an area from the backing, which at `offset` begins with its first line. What the
    /// backing lacks stays as it was.
    pub fn transfer(&self, view: &DmaView, area: Area, offset: u64) -> Result<(), Fault> {
        let backing = self.backing.as_ref().ok_or(Fault::Unspecified)?;
        let stride = self.image.width() as usize * PIXEL;
        let length = area.width as usize * PIXEL;
        self.image.draw(|bytes| {
            let lines = bytes.chunks_exact_mut(stride);
            let lines = lines.skip(area.y as usize).take(area.height as usize);
            for (number, line) in (0u64..).zip(lines) {
                let start = area.x as usize * PIXEL;
                let from = offset.checked_add(number * stride as u64);
                let from = from.ok_or(Fault::Parameter)?;
                read(backing, view, from, &mut line[start..start + length])?;
            }
            Ok(())
        })
    }
}

/// Copies what the backing has from `offset` on.
fn read(
    backing: &[(u64, Piece)],
    view: &DmaView,
    mut offset: u64,
    mut bytes: &mut [u8],
) -> Result<(), Fault> {
    let first = backing.partition_point(|(start, piece)| start + u64::from(piece.length) <= offset);
    for (start, piece) in backing.iter().skip(first) {
        if bytes.is_empty() {
            break;
        }
        let inside = offset - start;
        let left = u64::from(piece.length) - inside;
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (head, rest) = bytes.split_at_mut(count);
        let address = piece.address.checked_add(inside);
        let address = address.ok_or(Fault::Unspecified)?;
        view.read(address, head).map_err(|_| Fault::Unspecified)?;
        offset += count as u64;
        bytes = rest;
    }
    Ok(())
}
