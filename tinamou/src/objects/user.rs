//! Objects that users make with `-object` and `object-add`.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, MutexGuard, PoisonError};

use indexmap::IndexMap;
use tinamou_api::{self as api, ObjectOptionsBranch as Branch};
use tinamou_block::throttle::Group;
use tinamou_chardev::{Authorizer, TlsCreds};
use tinamou_machine::MainMemory;
use tinamou_net::{Filter, Network};
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::{Property, Tree};
use tinamou_virtio::rng::Entropy;

use super::authz::{self, Authz};
use super::iothread::Iothread;
use super::memory::{Kind, MemoryBackend};
use super::secret::Secret;
use super::tls_creds::TlsCredsX509;
use super::{filter_dump, throttle_group};
use crate::commands::machine::reason;

/// What a user's object is.
#[derive(Clone)]
pub enum UserObject {
    /// Who may connect.
    Authz(Arc<Authz>),
    /// The frames of a network back end in a file.
    Filter(Rc<Filter>),
    /// A thread for devices.
    Iothread(Rc<Iothread>),
    /// Memory.
    Memory(Rc<MemoryBackend>),
    /// Random bytes, and the file they come from.
    Rng(Arc<Entropy>, Option<String>),
    /// A password or key.
    Secret(Rc<Secret>),
    /// Limits of disks.
    ThrottleGroup(Arc<Group>),
    /// TLS credentials.
    Tls(Rc<TlsCredsX509>),
}

/// The objects that users made, the youngest last. Clones share the objects.
#[derive(Clone, Default)]
pub struct Objects {
    list: IndexMap<String, UserObject>,
    authz: authz::Register,
}

/// A type that users can make objects of.
pub struct UserType {
    /// Its name.
    pub name: &'static str,
    /// The type it inherits from.
    pub parent: &'static str,
    /// Its properties.
    pub properties: &'static [Listed],
}

/// A property in a listing: name, type, description.
pub type Listed = (&'static str, &'static str, Option<&'static str>);

/// The types, in the order in which `-object help` lists them.
pub const TYPES: &[UserType] = &[
    authz::LIST,
    authz::LIST_FILE,
    authz::SIMPLE,
    super::filter_dump::TYPE,
    super::iothread::TYPE,
    super::memory::FILE,
    super::memory::MEMFD,
    super::memory::RAM,
    UserType {
        name: "rng-builtin",
        parent: "rng-backend",
        properties: &[],
    },
    UserType {
        name: "rng-random",
        parent: "rng-backend",
        properties: &[("filename", "string", None)],
    },
    super::secret::TYPE,
    super::throttle_group::TYPE,
    super::tls_creds::TYPE,
];

/// The type of that name.
pub fn find_type(name: &str) -> Option<&'static UserType> {
    TYPES.iter().find(|kind| kind.name == name)
}

impl Objects {
    /// Makes an object; it is not in the object tree yet.
    ///
    /// # Errors
    /// Its id is taken or impossible, or it cannot be made.
    pub fn create(&mut self, options: &api::ObjectOptions, network: &Network) -> Result<()> {
        let id = &options.id;
        if !crate::options::is_id(id) {
            return Err(Error::expects(Some("id"), "an identifier"));
        }
        if self.list.contains_key(id) {
            return Err(Error::generic(format!(
                "attempt to add duplicate property '{id}' to object (type 'container')"
            )));
        }
        let object = self.make(id, &options.branch, network)?;
        if let UserObject::Authz(authz) = &object {
            self.register().insert(id.clone(), Arc::clone(authz));
        }
        self.list.insert(id.clone(), object);
        Ok(())
    }

    fn make(&self, id: &str, branch: &Branch, network: &Network) -> Result<UserObject> {
        let memory = |kind| {
            let backend = MemoryBackend::new(id, kind)?;
            Ok(UserObject::Memory(Rc::new(backend)))
        };
        let decider = |authz| Ok(UserObject::Authz(Arc::new(authz)));
        match branch {
            Branch::AuthzList(options) => decider(Authz::list(options)),
            Branch::AuthzListfile(options) => decider(Authz::file(options)?),
            Branch::AuthzSimple(options) => decider(Authz::simple(options)),
            Branch::FilterDump(options) => {
                let filter = filter_dump::make(id, options, network)?;
                Ok(UserObject::Filter(filter))
            }
            Branch::Iothread(options) => {
                Ok(UserObject::Iothread(Rc::new(Iothread::new(id, options)?)))
            }
            Branch::MemoryBackendRam(options) => memory(Kind::Ram(options)),
            Branch::MemoryBackendFile(options) => memory(Kind::File(options)),
            Branch::MemoryBackendMemfd(options) => memory(Kind::Memfd(options)),
            Branch::RngBuiltin(_) => Ok(UserObject::Rng(Arc::new(Entropy::Builtin), None)),
            Branch::RngRandom(options) => {
                let path = options.filename.as_deref().unwrap_or("/dev/urandom");
                let source = Entropy::open(Path::new(path)).map_err(|error| {
                    Error::generic(format!("Could not open '{path}': {}", reason(&error)))
                })?;
                Ok(UserObject::Rng(Arc::new(source), Some(path.to_owned())))
            }
            Branch::Secret(options) => {
                let secret = Secret::new(options, |id| self.secret(id))?;
                Ok(UserObject::Secret(Rc::new(secret)))
            }
            Branch::ThrottleGroup(options) => Ok(UserObject::ThrottleGroup(throttle_group::make(
                id, options,
            )?)),
            Branch::TlsCredsX509(options) => {
                Ok(UserObject::Tls(Rc::new(TlsCredsX509::load(options)?)))
            }
        }
    }

    /// Puts an object into the object tree.
    ///
    /// # Errors
    /// Something of its name is there.
    pub fn add_to_tree(&self, tree: &mut Tree, id: &str) -> Result<()> {
        let Some(object) = self.list.get(id) else {
            return Err(not_found(id));
        };
        let parent = tree.resolve("/objects")?;
        let node = tree.add(parent, id, object.kind())?;
        for (name, property) in object.properties() {
            tree.add_property(node, name, property)?;
        }
        Ok(())
    }

    /// The ids of all objects, the oldest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.list.keys().map(String::as_str)
    }

    /// Forgets an object.
    ///
    /// # Errors
    /// There is none, or it is in use.
    pub fn remove(&mut self, id: &str) -> Result<()> {
        let object = self.list.get(id).ok_or_else(|| not_found(id))?;
        if object.in_use() {
            return Err(Error::generic(format!(
                "object '{id}' is in use, can not be deleted"
            )));
        }
        self.list.shift_remove(id);
        self.register().remove(id);
        Ok(())
    }

    /// The source of random bytes at a path of the object tree.
    pub fn entropy(&self, tree: &Tree, path: &str) -> Option<Arc<Entropy>> {
        match self.list.get(&id_at(tree, path)?)? {
            UserObject::Rng(source, _) => Some(Arc::clone(source)),
            _ => None,
        }
    }

    /// The iothread at a path of the object tree.
    pub fn iothread(&self, tree: &Tree, path: &str) -> Option<Rc<Iothread>> {
        match self.list.get(&id_at(tree, path)?)? {
            UserObject::Iothread(thread) => Some(Rc::clone(thread)),
            _ => None,
        }
    }

    /// What the secret with that id holds.
    pub fn secret(&self, id: &str) -> Option<Rc<Secret>> {
        match self.list.get(id)? {
            UserObject::Secret(secret) => Some(Rc::clone(secret)),
            _ => None,
        }
    }

    /// The TLS credentials with that id.
    pub fn tls_creds(&self, id: &str) -> Option<TlsCreds> {
        match self.list.get(id)? {
            UserObject::Tls(credentials) => Some(credentials.creds().clone()),
            _ => None,
        }
    }

    /// Lets the object with that id decide who may connect.
    pub fn authorizer(&self, id: &str) -> Authorizer {
        authz::authorizer(&self.authz, id)
    }

    fn register(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Authz>>> {
        self.authz.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory with that id, to be the machine's own.
    pub fn main_memory(&self, id: &str) -> Option<MainMemory> {
        let UserObject::Memory(memory) = self.list.get(id)? else {
            return None;
        };
        memory.keep();
        Some(MainMemory {
            name: id.to_owned(),
            ram: Arc::clone(memory.ram()),
        })
    }

    /// The memory at a path of the object tree, with its id.
    pub fn memory_backend(&self, tree: &Tree, path: &str) -> Option<(String, Rc<MemoryBackend>)> {
        let id = id_at(tree, path)?;
        match self.list.get(&id)? {
            UserObject::Memory(memory) => Some((id, Rc::clone(memory))),
            _ => None,
        }
    }

    /// All memory, the youngest first.
    pub fn memory(&self) -> impl Iterator<Item = (&str, &MemoryBackend)> {
        let objects = self.list.iter().rev();
        objects.filter_map(|(id, object)| match object {
            UserObject::Memory(memory) => Some((id.as_str(), &**memory)),
            _ => None,
        })
    }

    /// All throttle groups.
    pub fn throttle_groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.list.values().filter_map(|object| match object {
            UserObject::ThrottleGroup(group) => Some(group),
            _ => None,
        })
    }

    /// All iothreads.
    pub fn iothreads(&self) -> impl Iterator<Item = (&str, &Iothread)> {
        self.list.iter().filter_map(|(id, object)| match object {
            UserObject::Iothread(thread) => Some((id.as_str(), &**thread)),
            _ => None,
        })
    }
}

impl UserObject {
    fn kind(&self) -> &'static str {
        match self {
            Self::Authz(authz) => authz.kind(),
            Self::Filter(_) => "filter-dump",
            Self::Iothread(_) => "iothread",
            Self::Memory(memory) => memory.kind(),
            Self::Rng(_, Some(_)) => "rng-random",
            Self::Rng(_, None) => "rng-builtin",
            Self::Secret(_) => "secret",
            Self::ThrottleGroup(_) => "throttle-group",
            Self::Tls(_) => "tls-creds-x509",
        }
    }

    /// Whether it must not go yet.
    fn in_use(&self) -> bool {
        match self {
            Self::Memory(memory) => memory.in_use(),
            Self::ThrottleGroup(group) => group.is_used(),
            _ => false,
        }
    }

    fn properties(&self) -> Vec<(&'static str, Property)> {
        match self {
            Self::Authz(authz) => authz.properties(),
            Self::Filter(filter) => filter_dump::properties(filter),
            Self::Iothread(thread) => Iothread::properties(thread),
            Self::Memory(memory) => MemoryBackend::properties(memory),
            Self::Rng(_, Some(path)) => {
                let path = Value::String(path.clone());
                vec![("filename", fixed("filename", "string", path))]
            }
            Self::Rng(_, None) => Vec::new(),
            Self::Secret(secret) => secret.properties(),
            Self::ThrottleGroup(group) => throttle_group::properties(group),
            Self::Tls(credentials) => credentials.properties(),
        }
    }
}

/// A property that only the making of the object can set.
pub(super) fn fixed(name: &'static str, kind: &str, value: Value) -> Property {
    Property::writable::<Value>(
        name,
        kind,
        move || value.clone(),
        move |_| {
            Err(Error::generic(format!(
                "Property '{name}' can no longer be set"
            )))
        },
    )
}

/// The id of the user's object at a path.
fn id_at(tree: &Tree, path: &str) -> Option<String> {
    let path = tree.path(tree.resolve(path).ok()?);
    path.strip_prefix("/objects/").map(str::to_owned)
}

fn not_found(id: &str) -> Error {
    Error::generic(format!("object '{id}' not found"))
}
