//! File descriptors that clients pass in: named ones (`getfd`) and sets
//! (`add-fd`), which file names such as `/dev/fdset/3` refer to.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;
use rustix::io::Errno;
use tinamou_block::{Lender, Lent};
use tinamou_qmp::{Error, Result};

/// The prefix of file names that refer to a set.
pub const FDSET_PREFIX: &str = "/dev/fdset/";

/// A descriptor in a set.
#[derive(Debug)]
struct Member {
    fd: OwnedFd,
    opaque: Option<String>,
}

/// A descriptor of a set as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number, which is its name in `remove-fd`.
    pub fd: RawFd,
    /// Text that the client keeps with it.
    pub opaque: Option<String>,
}

/// The sets by id. Clones are the same sets.
#[derive(Clone, Debug, Default)]
pub struct FdSets(Arc<Mutex<BTreeMap<i64, Set>>>);

#[derive(Debug, Default)]
struct Set {
    members: Vec<Member>,
    /// Duplicates that image files use. A set stays for as long as there are any.
    lent: usize,
}

impl Set {
    fn is_over(&self) -> bool {
        self.members.is_empty() && self.lent == 0
    }

    /// The descriptor that was opened like that.
    fn find(&self, wanted: OFlags, matter: OFlags) -> Option<BorrowedFd<'_>> {
        let fits = |fd: &BorrowedFd<'_>| {
            rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags & matter == wanted & matter)
        };
        let mut fds = self.members.iter().map(|member| member.fd.as_fd());
        fds.find(fits)
    }
}

/// All descriptors that clients have passed in and not taken back.
#[derive(Debug, Default)]
pub struct Fds {
    named: BTreeMap<String, OwnedFd>,
    sets: FdSets,
}

impl Fds {
    /// No named ones yet, and those sets.
    pub fn new(sets: FdSets) -> Self {
        Self {
            named: BTreeMap::new(),
            sets,
        }
    }

    /// The sets.
    pub fn sets(&self) -> &FdSets {
        &self.sets
    }

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
}

impl FdSets {
    /// Adds a descriptor to a set, or to a new set with the lowest free id.
    ///
    /// # Errors
    /// The id is negative.
    pub fn add(
        &self,
        set: Option<i64>,
        fd: OwnedFd,
        opaque: Option<String>,
    ) -> Result<(i64, RawFd)> {
        let mut sets = self.sets();
        let id = match set {
            Some(id) if id < 0 => {
                return Err(Error::expects(Some("fdset-id"), "a non-negative value"));
            }
            Some(id) => id,
            None => (0..).find(|id| !sets.contains_key(id)).unwrap_or(i64::MAX),
        };
        let number = fd.as_raw_fd();
        let members = &mut sets.entry(id).or_default().members;
        members.push(Member { fd, opaque });
        Ok((id, number))
    }

    /// Closes one descriptor of a set, or all of them; an empty set that nobody uses is gone.
    ///
    /// # Errors
    /// There is no such set, or no such descriptor in it.
    pub fn remove(&self, id: i64, number: Option<i64>) -> Result<()> {
        let name = match number {
            Some(number) => format!("fdset-id:{id}, fd:{number}"),
            None => format!("fdset-id:{id}"),
        };
        let mut sets = self.sets();
        let set = sets.get_mut(&id).ok_or_else(|| not_found(&name))?;
        let before = set.members.len();
        let goes = |member: &Member| {
            number.is_none_or(|number| i64::from(member.fd.as_raw_fd()) == number)
        };
        set.members.retain(|member| !goes(member));
        let found = number.is_none() || set.members.len() < before;
        if set.is_over() {
            sets.remove(&id);
        }
        if found { Ok(()) } else { Err(not_found(&name)) }
    }

    /// The sets by id, each with its members in the order they came.
    pub fn list(&self) -> Vec<(i64, Vec<Listed>)> {
        let listed = |member: &Member| Listed {
            fd: member.fd.as_raw_fd(),
            opaque: member.opaque.clone(),
        };
        let sets = self.sets();
        let sets = sets.iter();
        sets.map(|(id, set)| (*id, set.members.iter().map(listed).collect()))
            .collect()
    }

    /// A duplicate of the descriptor in a set whose access mode fits.
    ///
    /// # Errors
    /// There is no such set, or it has none that fits.
    pub fn open(&self, id: i64, wanted: OFlags) -> std::io::Result<OwnedFd> {
        let sets = self.sets();
        let set = sets.get(&id).ok_or(Errno::NOENT)?;
        let fd = set.find(wanted, OFlags::RWMODE).ok_or(Errno::ACCESS)?;
        Ok(rustix::io::fcntl_dupfd_cloexec(fd, 0)?)
    }

    fn sets(&self) -> MutexGuard<'_, BTreeMap<i64, Set>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lender for FdSets {
    fn lend(&self, name: &str, flags: OFlags) -> Option<Result<Lent, String>> {
        let id = name.strip_prefix(FDSET_PREFIX)?;
        let Some(id) = id.parse().ok().filter(|id| *id >= 0) else {
            return Some(Err(format!("Could not parse fdset {name}")));
        };
        let mut sets = self.sets();
        let Some(set) = sets.get_mut(&id) else {
            return Some(Err(format!("Failed to find fdset {name}")));
        };
        let Some(fd) = set.find(flags, OFlags::RWMODE | OFlags::DIRECT) else {
            let flags = flags.bits();
            return Some(Err(format!(
                "Failed to find file descriptor with matching flags={flags:#x}"
            )));
        };
        let fd = match rustix::io::fcntl_dupfd_cloexec(fd, 0) {
            Ok(fd) => fd,
            Err(error) => return Some(Err(error.to_string())),
        };
        set.lent += 1;
        let sets = self.clone();
        let slip = Box::new(Slip { sets, id });
        Some(Ok(Lent { fd, slip }))
    }
}

/// A descriptor of a set is in use.
struct Slip {
    sets: FdSets,
    id: i64,
}

impl Drop for Slip {
    fn drop(&mut self) {
        let mut sets = self.sets.sets();
        let Some(set) = sets.get_mut(&self.id) else {
            return;
        };
        set.lent -= 1;
        if set.is_over() {
            sets.remove(&self.id);
        }
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

    fn ids(fds: &FdSets) -> Vec<(i64, usize)> {
        let sets = fds.list().into_iter();
        sets.map(|(id, members)| (id, members.len())).collect()
    }

    #[test]
    fn sets_fill_the_lowest_free_id() {
        let fds = FdSets::default();
        assert_eq!(fds.add(Some(1), null(), None).expect("add").0, 1);
        assert_eq!(fds.add(None, null(), None).expect("add").0, 0);
        assert_eq!(fds.add(None, null(), Some("x".into())).expect("add").0, 2);
        assert_eq!(fds.add(Some(1), null(), None).expect("add").0, 1);
        assert_eq!(ids(&fds), [(0, 1), (1, 2), (2, 1)]);
    }

    #[test]
    fn removing_the_last_member_removes_the_set() {
        let fds = FdSets::default();
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
        let fds = FdSets::default();
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

    #[test]
    fn a_set_stays_while_it_is_in_use() {
        let fds = FdSets::default();
        fds.add(Some(1), null(), None).expect("add");
        let lend = |name: &str, flags| {
            let lent = fds.lend(name, flags).expect("a name of a set");
            lent.map(|lent| lent.slip)
        };
        let slip = lend("/dev/fdset/1", OFlags::RDONLY).expect("it fits");
        fds.remove(1, None).expect("remove");
        assert_eq!(ids(&fds), [(1, 0)]);
        let refused = lend("/dev/fdset/1", OFlags::RDWR).err();
        let words = "Failed to find file descriptor with matching flags=0x2";
        assert_eq!(refused.as_deref(), Some(words));
        drop(slip);
        assert_eq!(ids(&fds), []);
        assert!(fds.lend("/dev/null", OFlags::RDONLY).is_none());
    }
}
