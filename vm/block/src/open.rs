//! From options to nodes.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tinamou_api as api;
use tinamou_api::BlockdevOptionsBranch as Branch;

use crate::driver::Driver;
use crate::drivers::blkdebug::{Blkdebug, InjectError, SetState};
use crate::drivers::copy_on_read::CopyOnRead;
use crate::drivers::file::{self, File};
use crate::drivers::nbd::{self, Nbd};
use crate::drivers::null::{Flavour, Null};
use crate::drivers::qcow2::{self, Qcow2};
use crate::drivers::raw::Raw;
use crate::drivers::throttle::Throttle;
use crate::error::{Error, Result};
use crate::filename;
use crate::graph::Graph;
use crate::node::{DetectZeroes, Edge, Node, NodeOptions};
use crate::permission::{Bond, Claim};

/// What a node that is made on the spot takes over from the one above unless it says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inherited {
    read_only: bool,
    auto_read_only: bool,
    unmap: bool,
    direct: bool,
    no_flush: bool,
    force_share: bool,
    /// The images of the chain that leads here.
    chain: Vec<String>,
}

impl Inherited {
    /// What a node below one with such options takes over; a `backing` image is only read.
    pub(crate) fn of(above: &NodeOptions, backing: bool) -> Self {
        Self {
            read_only: above.read_only || backing,
            auto_read_only: false,
            // Formats send discards on only if they were told to.
            unmap: !backing,
            direct: above.direct,
            no_flush: above.no_flush,
            force_share: above.force_share,
            chain: Vec::new(),
        }
    }
}

/// Images that may be behind one another.
const CHAIN: usize = 128;

/// Makes a node and those that its options define below it.
pub(crate) async fn node(
    graph: &Graph,
    options: api::BlockdevOptions,
    inherited: &Inherited,
) -> Result<Arc<Node>> {
    let common = common(&options, inherited)?;
    let name = match &options.node_name {
        Some(name) => name.clone(),
        None => graph.anonymous(),
    };
    let auto_read_only = options.auto_read_only.unwrap_or(inherited.auto_read_only);
    let opening = Opening {
        graph,
        name: &name,
        common,
        auto_read_only,
        chain: &inherited.chain,
        below: None,
    };
    let (driver, common) = opening.driver(options.branch.clone()).await?;
    if let Some(name) = &options.node_name {
        // Not earlier: a node below may have taken it meanwhile.
        graph.check_name(name)?;
    }
    let node = Node::made(name, driver, common, options, graph.observer());
    graph.register(&node);
    Ok(node)
}

/// The nodes that are to be below one that is made again.
pub(crate) struct Below {
    /// The nodes by role; there are no others.
    pub(crate) nodes: Vec<(&'static str, Arc<Node>)>,
    /// Holds that go on.
    pub(crate) edges: Vec<Edge>,
}

/// Makes another driver for a node that is there.
pub(crate) async fn driver(
    graph: &Graph,
    name: &str,
    options: &api::BlockdevOptions,
    common: NodeOptions,
    below: Below,
) -> Result<Box<dyn Driver>> {
    let opening = Opening {
        graph,
        name,
        common,
        auto_read_only: false,
        chain: &[],
        below: Some(below),
    };
    let (driver, _) = opening.driver(options.branch.clone()).await?;
    Ok(driver)
}

/// The options that all nodes have.
pub(crate) fn common(options: &api::BlockdevOptions, inherited: &Inherited) -> Result<NodeOptions> {
    let cache = options.cache.as_ref();
    let unmap = match options.discard {
        Some(discard) => discard == api::BlockdevDiscardOptions::Unmap,
        None => inherited.unmap,
    };
    let common = NodeOptions {
        read_only: options.read_only.unwrap_or(inherited.read_only),
        unmap,
        no_flush: cache
            .and_then(|cache| cache.no_flush)
            .unwrap_or(inherited.no_flush),
        direct: cache
            .and_then(|cache| cache.direct)
            .unwrap_or(inherited.direct),
        force_share: options.force_share.unwrap_or(inherited.force_share),
        detect_zeroes: match options.detect_zeroes {
            None | Some(api::BlockdevDetectZeroesOptions::Off) => DetectZeroes::Off,
            Some(api::BlockdevDetectZeroesOptions::On) => DetectZeroes::On,
            Some(api::BlockdevDetectZeroesOptions::Unmap) => DetectZeroes::Unmap,
        },
    };
    if common.detect_zeroes == DetectZeroes::Unmap && !common.unmap {
        return Err(Error::DetectZeroes);
    }
    if common.force_share && !common.read_only {
        return Err(Error::ForceShare);
    }
    Ok(common)
}

/// A node that is being made.
struct Opening<'a> {
    graph: &'a Graph,
    name: &'a str,
    common: NodeOptions,
    auto_read_only: bool,
    chain: &'a [String],
    /// What is below, if that is known already.
    below: Option<Below>,
}

impl Opening<'_> {
    async fn driver(mut self, branch: Branch) -> Result<(Box<dyn Driver>, NodeOptions)> {
        let driver: Box<dyn Driver> = match branch {
            Branch::File(options) => Box::new(self.file(file::Kind::File, options)?),
            Branch::HostDevice(options) => Box::new(self.file(file::Kind::HostDevice, options)?),
            Branch::NullCo(options) => Box::new(null(Flavour::Co, &options)?),
            Branch::NullAio(options) => Box::new(null(Flavour::Aio, &options)?),
            Branch::Raw(options) => Box::new(self.raw(*options).await?),
            Branch::Throttle(options) => {
                let name = &options.throttle_group;
                let group = self.graph.find_group(name);
                let group = group.ok_or_else(|| Error::NoThrottleGroup(name.clone()))?;
                let file = self.child(*options.file, "file", Bond::Filtered).await?;
                Box::new(Throttle::new(file, &group))
            }
            Branch::CopyOnRead(options) => {
                let file = self
                    .child(*options.base.file, "file", Bond::Filtered)
                    .await?;
                Box::new(CopyOnRead::new(file))
            }
            Branch::Blkdebug(options) => Box::new(self.blkdebug(*options).await?),
            Branch::Nbd(options) => Box::new(self.nbd(options).await?),
            Branch::Qcow2(options) => Box::new(self.qcow2(*options).await?),
        };
        Ok((driver, self.common))
    }

    fn file(&mut self, kind: file::Kind, options: api::BlockdevOptionsFile) -> Result<File> {
        if options.aio == Some(api::BlockdevAioOptions::Native) && !self.common.direct {
            return Err(Error::AioNative);
        }
        let mut wanted = file::Options {
            path: options.filename.clone().into(),
            writable: !self.common.read_only,
            direct: self.common.direct,
            no_flush: self.common.no_flush,
            locking: match options.locking {
                None | Some(api::OnOffAuto::Auto) => None,
                Some(locking) => Some(locking == api::OnOffAuto::On),
            },
        };
        let mut opened = File::open_from(self.graph.lender(), kind, &wanted);
        if self.auto_read_only && opened.as_ref().is_err_and(is_unwritable) {
            wanted.writable = false;
            self.common.read_only = true;
            opened = File::open_from(self.graph.lender(), kind, &wanted);
        }
        opened
    }

    async fn raw(&self, options: api::BlockdevOptionsRaw) -> Result<Raw> {
        let whole = options.offset.is_none_or(|offset| offset == 0) && options.size.is_none();
        let bond = if whole { Bond::Filtered } else { Bond::Data };
        let file = self.child(*options.base.file, "file", bond).await?;
        if whole {
            return Ok(Raw::new(file));
        }
        let offset = size(options.offset.unwrap_or(0), "offset")?;
        let length = options
            .size
            .map(|length| size(length, "size"))
            .transpose()?;
        if length.is_some_and(|length| length % 512 != 0) {
            return Err(Error::SizeNotSectors);
        }
        Ok(Raw::window(file, offset, length)?)
    }

    async fn blkdebug(&self, options: api::BlockdevOptionsBlkdebug) -> Result<Blkdebug> {
        let image = self.child(*options.image, "image", Bond::Filtered).await?;
        let errors = options.inject_error.unwrap_or_default();
        let errors = errors.into_iter().map(|rule| InjectError {
            event: rule.event,
            state: rule.state.filter(|state| *state != 0),
            kind: rule.iotype,
            errno: rule
                .errno
                .and_then(|errno| i32::try_from(errno).ok())
                .unwrap_or(rustix::io::Errno::IO.raw_os_error()),
            sector: rule.sector.and_then(|sector| u64::try_from(sector).ok()),
            once: rule.once.unwrap_or(false),
        });
        let states = options.set_state.unwrap_or_default();
        let states = states.into_iter().map(|rule| SetState {
            event: rule.event,
            state: rule.state.filter(|state| *state != 0),
            new_state: rule.new_state,
        });
        Ok(Blkdebug::new(image, errors.collect(), states.collect()))
    }

    /// The node below, named or made on the spot.
    async fn child(&self, child: api::BlockdevRef, role: &'static str, bond: Bond) -> Result<Edge> {
        if let Some(known) = self.known(role, bond)? {
            return Ok(known);
        }
        let node = match child {
            api::BlockdevRef::Reference(name) => {
                let found = self.graph.lookup(Some(&name), Some(&name));
                found.map_err(|_| Error::NotFound(name.clone(), name))?
            }
            api::BlockdevRef::Definition(options) => {
                let inherited = self.inherited();
                Box::pin(node(self.graph, *options, &inherited)).await?
            }
        };
        self.bind(&node, role, bond)
    }

    /// What is known to be below in that role.
    fn known(&self, role: &'static str, bond: Bond) -> Result<Option<Edge>> {
        let Some(below) = &self.below else {
            return Ok(None);
        };
        let Some((_, node)) = below.nodes.iter().find(|(of, _)| *of == role) else {
            return Ok(None);
        };
        let goes_on = |edge: &&Edge| {
            edge.role() == role && edge.bond() == bond && Arc::ptr_eq(edge.node(), node)
        };
        match below.edges.iter().find(goes_on) {
            Some(edge) => Ok(Some(edge.clone())),
            None => self.bind(node, role, bond).map(Some),
        }
    }

    fn bind(&self, node: &Arc<Node>, role: &'static str, bond: Bond) -> Result<Edge> {
        let claim = bond.claim(Claim::IDLE, !self.common.read_only);
        node.join(format!("node '{}'", self.name), role, bond, claim)
    }

    fn inherited(&self) -> Inherited {
        Inherited {
            auto_read_only: self.auto_read_only,
            chain: self.chain.to_vec(),
            ..Inherited::of(&self.common, false)
        }
    }

    async fn nbd(&mut self, options: api::BlockdevOptionsNbd) -> Result<Nbd> {
        let seconds = |value: Option<u32>| Duration::from_secs(value.unwrap_or(0).into());
        let nbd = Nbd::open(nbd::Options {
            reconnect_delay: seconds(options.reconnect_delay),
            open_timeout: seconds(options.open_timeout),
            export: options.export.unwrap_or_default(),
            server: options.server,
        });
        let nbd = nbd.await?;
        if nbd.is_read_only() && !self.common.read_only {
            if !self.auto_read_only {
                let why = "request on denied for read-only export";
                return Err(Error::Image(why.into()));
            }
            self.common.read_only = true;
        }
        Ok(nbd)
    }

    async fn qcow2(&self, options: api::BlockdevOptionsQcow2) -> Result<Qcow2> {
        let file = self
            .child(*options.base.base.file, "file", Bond::Format)
            .await?;
        let header = Qcow2::probe(&file).await?;
        let backing = match options.base.backing.map(|backing| *backing) {
            _ if self.below.is_some() => self.known("backing", Bond::Backing)?,
            Some(api::BlockdevRefOrNull::Null(())) => None,
            Some(api::BlockdevRefOrNull::Reference(name)) if name.is_empty() => None,
            Some(api::BlockdevRefOrNull::Reference(name)) => {
                let reference = api::BlockdevRef::Reference(name);
                Some(self.child(reference, "backing", Bond::Backing).await?)
            }
            Some(api::BlockdevRefOrNull::Definition(options)) => {
                let inherited = self.behind(&file.filename())?;
                let backing = Box::pin(node(self.graph, *options, &inherited)).await?;
                Some(self.bind(&backing, "backing", Bond::Backing)?)
            }
            None => self.implicit(&file.filename(), &header).await?,
        };
        let discards = options.pass_discard_request.unwrap_or(self.common.unmap);
        Qcow2::open(file, backing, header, self.common.read_only, discards).await
    }

    /// The image that a header names.
    async fn implicit(&self, image: &str, header: &qcow2::Header) -> Result<Option<Edge>> {
        let Some(name) = &header.backing_file else {
            return Ok(None);
        };
        let opened = async {
            let inherited = self.behind(image)?;
            let name = filename::beside(image, name);
            let format = match &header.backing_format {
                Some(format) => format.clone(),
                None => probe(self.graph, &name).await?.to_owned(),
            };
            let mut options = filename::with_format(&name, &format)?;
            options.read_only = Some(true);
            Box::pin(node(self.graph, options, &inherited)).await
        };
        let backing = opened
            .await
            .map_err(|error| Error::Backing(Box::new(error)))?;
        Ok(Some(self.bind(&backing, "backing", Bond::Backing)?))
    }

    /// What the image behind this one takes over.
    fn behind(&self, image: &str) -> Result<Inherited> {
        let mut chain = self.chain.to_vec();
        if chain.iter().any(|seen| seen == image) || chain.len() >= CHAIN {
            return Err(Error::Image(format!(
                "Backing file '{image}' is behind itself"
            )));
        }
        chain.push(image.to_owned());
        Ok(Inherited {
            chain,
            ..Inherited::of(&self.common, true)
        })
    }
}

/// The format of an image, found by looking at it.
pub(crate) async fn probe(graph: &Graph, name: &str) -> Result<&'static str> {
    let mut options = filename::options(name)?;
    options.read_only = Some(true);
    options.force_share = Some(true);
    let node = Box::pin(node(graph, options, &Inherited::default())).await?;
    let mut start = [0; 8];
    let length = start.len().min(usize::try_from(node.size()).unwrap_or(0));
    let unreadable = |error| Error::Host("Could not read image for determining its format", error);
    node.read(0, &mut start[..length])
        .await
        .map_err(unreadable)?;
    Ok(if start.starts_with(b"QFI\xfb") {
        "qcow2"
    } else {
        "raw"
    })
}

fn null(flavour: Flavour, options: &api::BlockdevOptionsNull) -> Result<Null> {
    let size = options
        .size
        .map(|length| size(length, "size"))
        .transpose()?;
    Ok(Null {
        flavour,
        size: size.unwrap_or(Null::SIZE).next_multiple_of(512),
        latency: Duration::from_nanos(options.latency_ns.unwrap_or(0)),
        read_zeroes: options.read_zeroes.unwrap_or(false),
    })
}

/// A size that the schema has as a signed number.
fn size(value: i64, name: &'static str) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::Negative(name))
}

/// Whether a file could be opened if only it were to be read.
fn is_unwritable(error: &Error) -> bool {
    let errnos = [
        rustix::io::Errno::ACCESS,
        rustix::io::Errno::PERM,
        rustix::io::Errno::ROFS,
    ];
    match error {
        Error::NotLent(_) => true,
        Error::Open { source, .. } => {
            let errno = source.raw_os_error();
            errnos.iter().any(|one| errno == Some(one.raw_os_error()))
        }
        _ => false,
    }
}

/// A new empty image in the directory for large temporary files.
pub(crate) fn temporary(size: u64) -> Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let directory = std::env::var_os("TMPDIR").unwrap_or_else(|| "/var/tmp".into());
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("vl.{}-{number}", std::process::id());
    let path = PathBuf::from(directory).join(name);
    let failed = |error| Error::Host("Could not create temporary overlay", error);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    if let Err(error) = qcow2::create(&file, size) {
        // Nobody has a use for a half of an image.
        let _ = std::fs::remove_file(&path);
        return Err(failed(error));
    }
    Ok(path)
}

/// The options for an image over a node.
pub(crate) fn over(path: &Path, base: &str) -> api::BlockdevOptions {
    let file = api::BlockdevOptionsFile {
        filename: path.to_string_lossy().into_owned(),
        locking: None,
        aio: None,
        aio_max_batch: None,
        drop_cache: None,
    };
    let mut file = plain(Branch::File(file));
    file.cache = Some(api::BlockdevCacheOptions {
        direct: None,
        // It does not outlive the process, so it need not survive a crash.
        no_flush: Some(true),
    });
    let file = api::BlockdevRef::Definition(Box::new(file));
    let qcow2 = api::BlockdevOptionsQcow2 {
        base: api::BlockdevOptionsGenericCOWFormat {
            base: api::BlockdevOptionsGenericFormat {
                file: Box::new(file),
            },
            backing: Some(Box::new(api::BlockdevRefOrNull::Reference(base.to_owned()))),
        },
        pass_discard_request: None,
        pass_discard_snapshot: None,
        pass_discard_other: None,
        cache_size: None,
        l2_cache_size: None,
        refcount_cache_size: None,
    };
    plain(Branch::Qcow2(Box::new(qcow2)))
}

/// A node without a name, with everything as it is by default.
pub(crate) fn plain(branch: Branch) -> api::BlockdevOptions {
    api::BlockdevOptions {
        node_name: None,
        discard: None,
        cache: None,
        read_only: None,
        auto_read_only: None,
        force_share: None,
        detect_zeroes: None,
        branch,
    }
}
