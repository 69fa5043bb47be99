//! File descriptors that clients pass in: named ones (`getfd`) and sets
//! (`add-fd`), which file names such as `/dev/fdset/3` refer to.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use tinamou_qmp::{Error, Result};

/// The prefix of file names that refer to a set.
pub const FDSET_PREFIX: &str = "/dev/fdset/";

/// A descriptor in a set.
#[derive(Debug)]
pub struct Member {
    /// The descriptor itself; its number is its name in `remove-fd`.
    pub fd: OwnedFd,
    /// Text that the client keeps with it.
    pub opaque: Option<String>,
}

/// All descriptors that clients have passed in and not taken back.
#[derive(Debug, Default)]
pub struct Fds {
    named: BTreeMap<String, OwnedFd>,
    sets: BTreeMap<i64, Vec<Member>>,
}

impl Fds {
    /// Names a descriptor; one that had the name before is closed.
    ///
    /// # Errors
    /// Names that begin with a digit could be taken for numbers.
    pub fn name(&mut self, name: &str, fd: OwnedFd) -> Result<()> {
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(Error::expects(
                Some("fdname"),
                "a name not starting with a digit",
            ));
        }
        self.named.insert(name.to_owned(), fd);
        Ok(())
    }

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// Takes a named descriptor away.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn take(&mut self, name: &str) -> Result<OwnedFd> {
        self.named.remove(name).ok_or_else(|| not_found(name))
    }

    /// Adds a descriptor to a set, or to a new set with the lowest free id.
    ///
    /// # Errors
    /// The id is negative.
    pub fn add(
        &mut self,
        set: Option<i64>,
        fd: OwnedFd,
        opaque: Option<String>,
    ) -> Result<(i64, RawFd)> {
        let id = match set {
            Some(id) if id < 0 => {
                return Err(Error::expects(Some("fdset-id"), "a non-negative value"));
            }
            Some(id) => id,
            None => self.free_id(),
        };
        let number = fd.as_raw_fd();
        self.sets.entry(id).or_default().push(Member { fd, opaque });
        Ok((id, number))
    }

    /// Closes one descriptor of a set, or all of them; an empty set is gone.
    ///
    /// # Errors
    /// There is no such set, or no such descriptor in it.
    pub fn remove(&mut self, set: i64, number: Option<i64>) -> Result<()> {
        let name = match number {
            Some(number) => format!("fdset-id:{set}, fd:{number}"),
            None => format!("fdset-id:{set}"),
        };
        let members = self.sets.get_mut(&set).ok_or_else(|| not_found(&name))?;
        let before = members.len();
        match number {
            Some(number) => members.retain(|member| i64::from(member.fd.as_raw_fd()) != number),
            None => members.clear(),
        }
        let found = members.len() < before;
        if members.is_empty() {
            self.sets.remove(&set);
        }
        if found { Ok(()) } else { Err(not_found(&name)) }
    }

    /// The sets by id, each with its members in the order they came.
    pub fn sets(&self) -> impl Iterator<Item = (i64, &[Member])> {
        self.sets
            .iter()
            .map(|(id, members)| (*id, members.as_slice()))
    }

    /// A duplicate of the descriptor in a set whose access mode fits.
    ///
    /// # Errors
    /// There is no such set, or it has none that fits.
    pub fn open(&self, set: i64, wanted: OFlags) -> std::io::Result<OwnedFd> {
        let members = self.sets.get(&set).map_or(&[][..], Vec::as_slice);
        let fits = |fd: BorrowedFd<'_>| {
            rustix::fs::fcntl_getfl(fd)
                .is_ok_and(|flags| flags & OFlags::RWMODE == wanted & OFlags::RWMODE)
        };
        match members
            .iter()
            .map(|member| member.fd.as_fd())
            .find(|fd| fits(*fd))
        {
            Some(fd) => Ok(rustix::io::fcntl_dupfd_cloexec(fd, 0)?),
            None if members.is_empty() => Err(Errno::NOENT.into()),
            None => Err(Errno::ACCESS.into()),
        }
    }

    fn free_id(&self) -> i64 {
        (0..)
            .find(|id| !self.sets.contains_key(id))
            .unwrap_or(i64::MAX)
    }
}

fn not_found(name: &str) -> Error {
    Error::generic(format!("File descriptor named '{name}' not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null() -> OwnedFd {
        std::fs::File::open("/dev/null").expect("/dev/null").into()
    }

    fn ids(fds: &Fds) -> Vec<(i64, usize)> {
        fds.sets()
            .map(|(id, members)| (id, members.len()))
            .collect()
    }

    #[test]
    fn sets_fill_the_lowest_free_id() {
        let mut fds = Fds::default();
        assert_eq!(fds.add(Some(1), null(), None).expect("add").0, 1);
        assert_eq!(fds.add(None, null(), None).expect("add").0, 0);
        assert_eq!(fds.add(None, null(), Some("x".into())).expect("add").0, 2);
        assert_eq!(fds.add(Some(1), null(), None).expect("add").0, 1);
        assert_eq!(ids(&fds), [(0, 1), (1, 2), (2, 1)]);
    }

    #[test]
    fn removing_the_last_member_removes_the_set() {
        let mut fds = Fds::default();
        let (id, fd) = fds.add(None, null(), None).expect("add");
        assert_eq!(
            fds.remove(id, Some(-1)).expect_err("none").desc,
            "File descriptor named 'fdset-id:0, fd:-1' not found"
        );
        fds.remove(id, Some(i64::from(fd))).expect("remove");
        assert_eq!(ids(&fds), []);
        assert_eq!(
            fds.remove(id, None).expect_err("gone").desc,
            "File descriptor named 'fdset-id:0' not found"
        );
    }

    #[test]
    fn a_set_opens_only_what_fits() {
        let mut fds = Fds::default();
        let (id, _) = fds.add(None, null(), None).expect("add");
        assert!(fds.open(id, OFlags::RDONLY).is_ok());
        assert!(fds.open(id, OFlags::WRONLY).is_err());
        assert!(fds.open(id + 1, OFlags::RDONLY).is_err());
    }

    #[test]
    fn names_do_not_look_like_numbers() {
        let mut fds = Fds::default();
        assert!(fds.name("1x", null()).is_err());
        fds.name("x", null()).expect("name");
        fds.take("x").expect("take");
        assert!(fds.take("x").is_err());
    }
}
