//! Sets of descriptors that a server opens by name (`/dev/fdset/N`).

use crate::{Client, Error, Result};
use serde::Deserialize;
use serde_json::json;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Descriptors in the server's hands, to be named where it takes a file's
/// path. Clones share the set; when the last one is dropped, the set is
/// removed, and what the server has opened from it stays open.
///
/// ```no_run
/// # async fn example(client: &tinamou_client::Client) -> tinamou_client::Result<()> {
/// use serde_json::json;
/// use tinamou_client::FdSet;
///
/// let image = std::fs::File::options().read(true).write(true).open("disk.raw")?;
/// let set = FdSet::new(client, vec![image.into()]).await?;
/// let node = json!({"driver": "file", "node-name": "disk", "filename": set.path()});
/// client.execute("blockdev-add", node).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FdSet(Arc<Owner>);

struct Owner {
    client: Client,
    id: i64,
}

#[derive(Deserialize)]
struct Added {
    #[serde(rename = "fdset-id")]
    id: i64,
}

impl FdSet {
    /// Hands descriptors to the server. It opens the set by the access that it
    /// wants, so the set may hold the same file for reading and for writing.
    ///
    /// # Errors
    /// The connection is no unix socket, or the server refuses.
    pub async fn new(client: &Client, fds: Vec<OwnedFd>) -> Result<Self> {
        let mut set: Option<Self> = None;
        for fd in fds {
            let arguments = match &set {
                None => json!({}),
                Some(set) => json!({"fdset-id": set.id()}),
            };
            let request = client.request("add-fd", arguments).fds(vec![fd]);
            let added: Added = request.decode().await?;
            set.get_or_insert_with(|| {
                Self(Arc::new(Owner {
                    client: client.clone(),
                    id: added.id,
                }))
            });
        }
        set.ok_or_else(|| Error::usage("a set of descriptors needs one"))
    }

    /// Its number on the server.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.0.id
    }

    /// The path by which the server opens it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/dev/fdset/{}", self.0.id)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Owner").field(&self.id).finish()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.client.post("remove-fd", &json!({"fdset-id": self.id}));
    }
}
