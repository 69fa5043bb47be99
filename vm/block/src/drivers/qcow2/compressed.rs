//! Clusters that are packed.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress};

use super::meta::corrupt;

/// The cluster that was unpacked last: small reads in a row want it again.
#[derive(Default)]
pub(super) struct Last(Mutex<Option<(u64, Arc<[u8]>)>>);

impl Last {
    pub(super) fn find(&self, host: u64) -> Option<Arc<[u8]>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, bytes) = last.as_ref()?;
        (*at == host).then(|| Arc::clone(bytes))
    }

    pub(super) fn keep(&self, host: u64, bytes: &Arc<[u8]>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((host, Arc::clone(bytes)));
    }
}

/// Unpacks a cluster; behind its stream there may be anything.
pub(super) fn unpack(packed: &[u8], size: usize) -> io::Result<Arc<[u8]>> {
    let mut bytes = vec![0; size];
    let mut stream = Decompress::new(false);
    let done = stream.decompress(packed, &mut bytes, FlushDecompress::Finish);
    match done {
        Ok(_) if stream.total_out() == size as u64 => Ok(bytes.into()),
        _ => Err(corrupt()),
    }
}
