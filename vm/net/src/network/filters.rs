//! Filters on back ends.

use std::sync::Arc;

use super::Network;
use super::client::Client;
use crate::error::{Error, Result};
use crate::filter::{Dump, DumpConfig, Filter, Position};

impl Network {
    /// Puts a filter on a back end, as `filter-dump` objects are.
    ///
    /// # Errors
    /// There is no such back end or place, or the file cannot be made.
    pub fn add_filter(&self, config: DumpConfig) -> Result<Filter> {
        let mut state = self.state();
        let netdev = state.netdev_mut(&config.netdev).ok_or(Error::NoBackend)?;
        if netdev.cables.len() > 1 {
            return Err(Error::parameter("multiqueue is not supported"));
        }
        let place = netdev.place(&config.position, config.before)?;
        let dump = Arc::new(Dump::open(config)?);
        netdev.filters.insert(place, Arc::clone(&dump));
        netdev.install_filters();
        Ok(Filter {
            network: self.clone(),
            dump,
        })
    }

    pub(crate) fn remove_filter(&self, dump: &Arc<Dump>) {
        for client in &mut self.state().clients {
            let count = client.filters.len();
            client.filters.retain(|filter| !Arc::ptr_eq(filter, dump));
            if client.filters.len() < count {
                client.install_filters();
            }
        }
    }
}

impl Client {
    fn place(&self, position: &Position, before: bool) -> Result<usize> {
        let id = match position {
            Position::Head => return Ok(0),
            Position::Tail => return Ok(self.filters.len()),
            Position::NextTo(id) => id,
        };
        let found = self.filters.iter().position(|filter| filter.id() == id);
        let place = found.ok_or_else(|| Error::NoFilter(id.clone()))?;
        Ok(if before { place } else { place + 1 })
    }

    fn install_filters(&self) {
        self.cable().set_filters(self.filters.clone());
    }

    /// Takes all filters off, and tells their ids.
    pub(super) fn take_filters(&mut self) -> Vec<String> {
        let filters = std::mem::take(&mut self.filters);
        self.install_filters();
        filters
            .iter()
            .map(|filter| filter.id().to_owned())
            .collect()
    }
}
