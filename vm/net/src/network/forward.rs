//! Ports of the host that lead into the guest, changed while the network is in use.

use super::Network;
use super::client::Client;
use crate::backends::User;
use crate::error::{Error, Result};

impl Network {
    /// Forwards a port of the host to the guest, as `hostfwd_add` does: with the back end of that
    /// id, or the first of that kind.
    ///
    /// # Errors
    /// There is no such back end, the rule makes no sense, or the port is taken.
    pub fn add_host_forward(&self, id: Option<&str>, rule: &str) -> Result<()> {
        let user = self.user(id)?;
        let _guard = self.inner.runtime.enter();
        user.forward(rule)
    }

    /// Ends a rule, as `hostfwd_remove` does. False if there is none like it.
    ///
    /// # Errors
    /// There is no such back end, or what should name a rule does not.
    pub fn remove_host_forward(&self, id: Option<&str>, rule: &str) -> Result<bool> {
        let removed = self.user(id)?.unforward(rule);
        removed.ok_or_else(|| Error::parameter("invalid format"))
    }

    fn user(&self, id: Option<&str>) -> Result<User> {
        let state = self.state();
        let mut clients = state.clients.iter().filter(|client| client.is_netdev());
        let user = match id {
            Some(id) => clients
                .find(|client| client.name == id)
                .and_then(Client::user),
            None => clients.find_map(Client::user),
        };
        user.cloned().ok_or_else(|| match id {
            Some(id) => Error::parameter(format!("unrecognized netdev id '{id}'")),
            None => Error::parameter("user mode network stack not in use"),
        })
    }
}
