//! The file system's logic: objects as directories, properties as files.
//! It knows no kernel.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuser::{Errno, FileType};
use tinamou_client::qmp::ObjectPropertyInfo;

use super::nodes::{Node, Nodes};
use super::objects::Objects;
use crate::commands::qom::object::{Kind, join, spoken};
use crate::commands::qom::property;

/// Where a link leads that leads nowhere.
const UNSET: &str = "(unset)";

/// The objects, and what the kernel has open of them.
pub(super) struct Tree<O> {
    objects: O,
    nodes: Mutex<Nodes>,
    open: Mutex<Open>,
}

/// What files held when they were opened, so that a reader sees one value.
#[derive(Default)]
struct Open {
    contents: HashMap<u64, Vec<u8>>,
    last: u64,
}

/// What there is to know of a node.
#[derive(Debug, PartialEq)]
pub(super) struct Status {
    pub(super) number: u64,
    pub(super) kind: FileType,
    pub(super) size: u64,
}

/// One line of a directory.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// The node's number, if it has been looked up.
    pub(super) number: Option<u64>,
    pub(super) kind: FileType,
    pub(super) name: String,
}

impl<O: Objects> Tree<O> {
    /// The whole tree of `objects`.
    pub(super) fn new(objects: O) -> Self {
        Self {
            objects,
            nodes: Mutex::new(Nodes::new()),
            open: Mutex::default(),
        }
    }

    /// Finds what `name` is in a directory.
    pub(super) fn look_up(&self, directory: u64, name: &str) -> Result<Status, Errno> {
        let path = self.directory(directory)?;
        let listed = self.objects.list(&path)?;
        let found = listed.into_iter().find(|property| property.name == name);
        let found = found.filter(|property| is_file_name(&property.name));
        let node = node(&path, found.ok_or(Errno::ENOENT)?);
        let (kind, size) = (kind(&node), self.size(&node));
        let number = self.nodes().look_up(node);
        Ok(Status { number, kind, size })
    }

    /// The kernel counts on `lookups` of a node no more.
    pub(super) fn forget(&self, number: u64, lookups: u64) {
        self.nodes().forget(number, lookups);
    }

    /// What there is to know of a node.
    pub(super) fn status(&self, number: u64) -> Result<Status, Errno> {
        let node = self.node(number)?;
        Ok(Status {
            number,
            kind: kind(&node),
            size: self.size(&node),
        })
    }

    /// What a directory holds.
    pub(super) fn entries(&self, directory: u64) -> Result<Vec<Entry>, Errno> {
        let path = self.directory(directory)?;
        let mut listed = self.objects.list(&path)?;
        listed.retain(|property| is_file_name(&property.name));
        let nodes = self.nodes();
        let entries = listed.into_iter().map(|property| {
            let name = property.name.clone();
            let node = node(&path, property);
            Entry {
                number: nodes.number(&node),
                kind: kind(&node),
                name,
            }
        });
        Ok(entries.collect())
    }

    /// Where a link leads, seen from the directory that it is in.
    pub(super) fn target(&self, number: u64) -> Result<String, Errno> {
        let Node::Link { path, name } = self.node(number)? else {
            return Err(Errno::EINVAL);
        };
        let target = self.objects.value(&path, &name)?;
        let Some(target) = target.as_str().and_then(|target| target.strip_prefix('/')) else {
            return Ok(UNSET.to_owned());
        };
        let up = path.split('/').filter(|part| !part.is_empty()).count();
        let relative = format!("{}{target}", "../".repeat(up));
        Ok(match relative.as_str() {
            "" => ".".to_owned(),
            _ => relative,
        })
    }

    /// Opens a file: a handle of its value now, if it is to be read.
    pub(super) fn open(&self, number: u64, reads: bool) -> Result<u64, Errno> {
        let node = self.node(number)?;
        let content = match reads {
            true => self.content(&node)?,
            false => Vec::new(),
        };
        let mut open = self.open_files();
        open.last += 1;
        let handle = open.last;
        open.contents.insert(handle, content);
        Ok(handle)
    }

    /// Reads of what the file held when it was opened.
    pub(super) fn read(&self, handle: u64, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let open = self.open_files();
        let content = open.contents.get(&handle).ok_or(Errno::EBADF)?;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let rest = &content[start..];
        Ok(rest[..rest.len().min(size as usize)].to_vec())
    }

    /// Sets a property: each write is a whole value, as it is in sysfs.
    pub(super) fn write(&self, number: u64, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let Node::Property { path, name, ty } = self.node(number)? else {
            return Err(Errno::EISDIR);
        };
        let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        if offset != 0 {
            return Err(Errno::EINVAL);
        }
        let text = text.strip_suffix('\n').unwrap_or(text);
        self.objects
            .set(&path, &name, property::value(text, Some(&ty)))
    }

    /// Closes a file.
    pub(super) fn release(&self, handle: u64) {
        self.open_files().contents.remove(&handle);
    }

    fn directory(&self, number: u64) -> Result<String, Errno> {
        match self.node(number)? {
            Node::Object { path } => Ok(path),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn content(&self, node: &Node) -> Result<Vec<u8>, Errno> {
        let Node::Property { path, name, .. } = node else {
            return Err(Errno::EISDIR);
        };
        let value = self.objects.value(path, name)?;
        Ok(format!("{}\n", spoken(&value)).into_bytes())
    }

    /// How long a file is now; one that cannot be read is empty.
    fn size(&self, node: &Node) -> u64 {
        match node {
            Node::Property { .. } => self.content(node).map_or(0, |content| content.len() as u64),
            _ => 0,
        }
    }

    fn node(&self, number: u64) -> Result<Node, Errno> {
        self.nodes().find(number).cloned().ok_or(Errno::ESTALE)
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_files(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn node(path: &str, property: ObjectPropertyInfo) -> Node {
    match Kind::of(&property.r#type) {
        Kind::Child => Node::Object {
            path: join(path, &property.name),
        },
        Kind::Link => Node::Link {
            path: path.to_owned(),
            name: property.name,
        },
        Kind::Value => Node::Property {
            path: path.to_owned(),
            name: property.name,
            ty: property.r#type,
        },
    }
}

fn kind(node: &Node) -> FileType {
    match node {
        Node::Object { .. } => FileType::Directory,
        Node::Link { .. } => FileType::Symlink,
        Node::Property { .. } => FileType::RegularFile,
    }
}

/// Whether a file can be called so; a server may say anything.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::super::nodes::ROOT;
    use super::*;
    use serde_json::{Value, json};

    /// A machine with a number, a link to its memory and one to nothing.
    struct Made(Mutex<Value>);

    impl Objects for Made {
        fn list(&self, path: &str) -> Result<Vec<ObjectPropertyInfo>, Errno> {
            let properties = match path {
                "/" => json!([
                    {"name": "machine", "type": "child<virt-machine>"},
                    {"name": "../escape", "type": "string"},
                    {"name": "..", "type": "child<trap>"},
                ]),
                "/machine" => json!([
                    {"name": "size", "type": "uint64"},
                    {"name": "memory", "type": "link<memory>"},
                    {"name": "none", "type": "link<memory>"},
                ]),
                _ => return Err(Errno::ENOENT),
            };
            Ok(serde_json::from_value(properties).expect("they are properties"))
        }

        fn value(&self, path: &str, property: &str) -> Result<Value, Errno> {
            match (path, property) {
                ("/machine", "size") => Ok(self.0.lock().expect("no test panics").clone()),
                ("/machine", "memory") => Ok(json!("/machine/ram[0]")),
                ("/machine", "none") => Ok(json!("")),
                _ => Err(Errno::EPERM),
            }
        }

        fn set(&self, _: &str, _: &str, value: Value) -> Result<(), Errno> {
            if !value.is_u64() {
                return Err(Errno::EINVAL);
            }
            *self.0.lock().expect("no test panics") = value;
            Ok(())
        }
    }

    fn tree() -> (Tree<Made>, u64) {
        let tree = Tree::new(Made(Mutex::new(json!(5))));
        let machine = tree.look_up(ROOT, "machine").expect("it is there");
        assert_eq!(machine.kind, FileType::Directory);
        (tree, machine.number)
    }

    #[test]
    fn objects_are_directories() {
        let (tree, machine) = tree();
        let names = |number| -> Vec<String> {
            let entries = tree.entries(number).expect("it is a directory");
            entries.into_iter().map(|entry| entry.name).collect()
        };
        assert_eq!(names(ROOT), ["machine"]);
        assert_eq!(names(machine), ["size", "memory", "none"]);
        assert_eq!(tree.look_up(ROOT, "nothing"), Err(Errno::ENOENT));
        assert_eq!(tree.look_up(ROOT, ".."), Err(Errno::ENOENT));
        tree.forget(machine, 1);
        assert_eq!(tree.entries(machine), Err(Errno::ESTALE));
    }

    #[test]
    fn properties_are_files() {
        let (tree, machine) = tree();
        let size = tree.look_up(machine, "size").expect("it is there");
        assert_eq!((size.kind, size.size), (FileType::RegularFile, 2));
        let size = size.number;
        let handle = tree.open(size, true).expect("it can be read");
        assert_eq!(tree.write(size, 0, b"1K\n"), Ok(()));
        assert_eq!(tree.status(size).map(|status| status.size), Ok(5));
        assert_eq!(tree.read(handle, 0, 100), Ok(b"5\n".to_vec()));
        assert_eq!(tree.read(handle, 1, 100), Ok(b"\n".to_vec()));
        assert_eq!(tree.read(handle, u64::MAX, 100), Ok(Vec::new()));
        tree.release(handle);
        assert_eq!(tree.read(handle, 0, 100), Err(Errno::EBADF));
        assert_eq!(tree.entries(size), Err(Errno::ENOTDIR));
    }

    #[test]
    fn a_write_is_a_whole_value() {
        let (tree, machine) = tree();
        let size = tree.look_up(machine, "size").expect("it is there").number;
        for (offset, data) in [(0, &b"much"[..]), (1, b"5"), (0, b"\xff")] {
            assert_eq!(
                tree.write(size, offset, data),
                Err(Errno::EINVAL),
                "{data:?}"
            );
        }
        assert_eq!(tree.write(machine, 0, b"5"), Err(Errno::EISDIR));
    }

    #[test]
    fn links_lead_where_their_objects_are() {
        let (tree, machine) = tree();
        for (name, expected) in [("memory", "../machine/ram[0]"), ("none", "(unset)")] {
            let link = tree.look_up(machine, name).expect("it is there");
            assert_eq!(link.kind, FileType::Symlink);
            assert_eq!(tree.target(link.number).as_deref(), Ok(expected));
        }
        assert_eq!(tree.target(machine), Err(Errno::EINVAL));
    }
}
