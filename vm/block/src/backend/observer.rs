//! Who hears of a backend: the machine around it, and the disk that holds it.

use super::IoError;
use crate::driver::Corruption;

/// Whoever wants to know what happens to disks, called from any thread.
pub trait Observer: Send + Sync {
    /// A request has failed. For [`ErrorAction::Stop`](super::ErrorAction::Stop) the machine must be stopped, and
    /// [`BlockBackend::resume`](super::BlockBackend::resume) called when it goes on.
    fn io_error(&self, error: &IoError);

    /// The tray of a disk was opened or closed.
    fn tray_moved(&self, device: &str, id: &str, open: bool) {
        let _ = (device, id, open);
    }

    /// A write went `exceeded` bytes beyond the threshold of a node, which has none now.
    fn write_threshold(&self, node: &str, exceeded: u64, threshold: u64) {
        let _ = (node, exceeded, threshold);
    }

    /// The image of a node, which is the medium of `device` or of none with a name, is damaged.
    fn image_corrupted(&self, device: &str, node: &str, corruption: &Corruption) {
        let _ = (device, node, corruption);
    }
}

/// A disk that holds a backend, as the backend sees it. It is called from any thread.
pub trait Disk: Send + Sync {
    /// The medium has another size now.
    fn resized(&self, size: u64) {
        let _ = size;
    }

    /// The state of the tray, if there is one.
    fn tray(&self) -> Option<Tray> {
        None
    }

    /// Somebody outside wants the medium out: the guest is asked for it, or with `force` it is not.
    fn eject_request(&self, force: bool) {
        let _ = force;
    }

    /// The tray has been moved from outside: a medium came in, or the medium that is in goes out.
    fn medium_changed(&self, loaded: bool) {
        let _ = loaded;
    }

    /// Whether requests that fail can stop the machine, which `io-status` tells of.
    fn has_io_status(&self) -> bool {
        true
    }
}

/// A tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tray {
    /// It is out.
    pub open: bool,
    /// The guest keeps it in.
    pub locked: bool,
}

/// Who holds a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id or, for devices within devices, the place in the object tree.
    pub id: String,
    /// The place in the object tree.
    pub qom_path: String,
}
