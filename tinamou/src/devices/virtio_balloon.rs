//! The balloon.

use std::sync::Arc;

use tinamou_api as api;
use tinamou_qdev::{Category, Kind, Properties, properties};
use tinamou_qmp::{Error, Object, Result, Value};
use tinamou_qom::Property;
use tinamou_virtio::Virtio;
use tinamou_virtio::balloon::{Balloon, Options, Statistics};

use super::virtio::{self, Core};
use super::virtio_pci::{self, Family, NotifyProperties};
use super::{Class, Made, Plug, Plugged};
use crate::vm::Vm;

properties! {
    /// What a balloon takes.
    pub struct BalloonProperties {
        /// Let the guest take pages back when it runs out of memory.
        pub deflate_on_oom: bool = false => "deflate-on-oom";
        /// Let the host ask for free pages.
        pub free_page_hint: bool = false => "free-page-hint";
        /// Let the guest tell what it fills free pages with.
        pub page_poison: bool = true => "page-poison";
        /// Let the guest report free pages.
        pub free_page_reporting: bool = false => "free-page-reporting";
        /// Show all of the configuration space whatever the features.
        pub full_config: bool = false => "qemu-4-0-config-size";
        /// The thread that would ask for free pages.
        pub iothread: Option<String> = None => "iothread" as Kind::Link("iothread");
    }
}

/// The device in a slot of the board.
pub const DEVICE: Class = Class {
    properties: &[BalloonProperties::SPECS],
    category: Some(Category::Misc),
    make: Some(|vm, plug| virtio::on_slot(vm, plug, core)),
    live: &[
        ("guest-stats-polling-interval", "int"),
        ("guest-stats", "guest statistics"),
    ],
    ..Class::new("virtio-balloon-device", "virtio-device")
};

/// The device behind PCI.
const FAMILY: Family = Family {
    inner: &DEVICE,
    core,
    class: 0x00ff,
    vectors: |_, _| 2,
};

virtio_pci::classes! {
    "virtio-balloon-pci",
    alias: Some("virtio-balloon"),
    category: Category::Misc,
    properties: &[NotifyProperties::SPECS],
    FAMILY
}

/// Makes the device for any transport.
pub fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64) -> Result<Core> {
    let properties: BalloonProperties = plug.settings.fill();
    if properties.free_page_hint {
        // There are no I/O threads to set.
        let refused = "'free-page-hint' requires 'iothread' to be set";
        return Err(Error::generic(refused));
    }
    if find(vm).is_some() {
        return Err(Error::generic("Only one balloon device is supported"));
    }
    let options = Options {
        deflate_on_oom: properties.deflate_on_oom,
        free_page_reporting: properties.free_page_reporting,
        page_poison: properties.page_poison,
        full_config: properties.full_config,
    };
    let events = vm.events.clone();
    let observer = Box::new(move |actual: u64| {
        let actual = actual.try_into().unwrap_or(i64::MAX);
        events.emit(&api::BalloonChangeEvent { actual });
    });
    let ram_size = vm.machine.config().ram_size;
    let mut balloon = None;
    let rings = virtio::rings(plug.settings);
    let virtio = Virtio::new(virtio::site(vm), &rings, transport, |port| {
        let made = Balloon::new(port, options, ram_size, observer);
        Arc::clone(balloon.insert(made))
    });
    let balloon = balloon.expect("the device was just made");
    let values = [properties.values(), virtio::values(plug.settings)].concat();
    let mut made = Made::new(Inflatable(Arc::clone(&balloon)), values);
    made.live = live(&balloon);
    Ok(Core { virtio, made })
}

/// The machine's balloon, if it has one.
fn find(vm: &Vm) -> Option<&Arc<Balloon>> {
    let mut balloons = virtio::devices::<Inflatable>(vm);
    balloons.next().map(|Inflatable(balloon)| balloon)
}

/// The machine's balloon, for commands.
///
/// # Errors
/// There is none.
pub fn active(vm: &Vm) -> Result<&Arc<Balloon>> {
    find(vm).ok_or_else(|| Error::device_not_active("No balloon device has been activated"))
}

/// Asks the guest to keep no more than that.
///
/// # Errors
/// There is no balloon, or it is no amount.
pub fn set_target(vm: &Vm, bytes: i64) -> Result<()> {
    let balloon = active(vm)?;
    let target = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
    balloon.set_target(target.ok_or_else(|| Error::expects(Some("value"), "a size"))?);
    Ok(())
}

/// The balloon as the main loop sees it.
struct Inflatable(Arc<Balloon>);

impl Plugged for Inflatable {}

/// The properties about the guest's statistics.
fn live(balloon: &Arc<Balloon>) -> Vec<(&'static str, Property)> {
    const INTERVAL: &str = "guest-stats-polling-interval";
    let [source, asked, told] = [(); 3].map(|()| Arc::clone(balloon));
    let statistics = Property::read_only("guest statistics", move || {
        statistics_value(&source.statistics())
    });
    let interval = Property::writable::<i64>(
        INTERVAL,
        "int",
        move || Value::Int(asked.polling_interval().into()),
        move |seconds| {
            let set = told.set_polling_interval(seconds);
            set.map_err(|error| Error::generic(error.to_string()))
        },
    );
    vec![("guest-stats", statistics), (INTERVAL, interval)]
}

fn statistics_value(statistics: &Statistics) -> Value {
    let number = |value: u64| i64::try_from(value).map_or(Value::Uint(value), Value::Int);
    let named = statistics.named();
    let stats: Object = named
        .map(|(name, value)| (name.to_owned(), number(value)))
        .collect();
    Value::Object(Object::from([
        ("stats".to_owned(), Value::Object(stats)),
        ("last-update".to_owned(), number(statistics.last_update)),
    ]))
}
