//! Classes of devices and what they inherit.

use crate::Spec;

/// The heading under which `-device help` lists a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Buses and what extends them.
    Bridge,
    /// USB controllers.
    Usb,
    /// Disks and their controllers.
    Storage,
    /// Network cards.
    Network,
    /// Keyboards, mice, serial ports.
    Input,
    /// Graphics.
    Display,
    /// Sound.
    Sound,
    /// What fits nowhere else.
    Misc,
    /// Processors.
    Cpu,
    /// Watchdogs.
    Watchdog,
}

impl Category {
    /// The heading.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Bridge => "Controller/Bridge/Hub",
            Self::Usb => "USB",
            Self::Storage => "Storage",
            Self::Network => "Network",
            Self::Input => "Input",
            Self::Display => "Display",
            Self::Sound => "Sound",
            Self::Misc => "Misc",
            Self::Cpu => "CPU",
            Self::Watchdog => "Watchdog",
        }
    }
}

/// A class of devices, with what it adds to its parent.
///
/// Start from [`Class::new`] and overwrite what differs:
///
/// ```
/// use tinamou_qdev::{Category, Class};
///
/// const PORT: Class<fn()> = Class {
///     bus: Some("PCI"),
///     description: Some("PCI Express Root Port"),
///     category: Some(Category::Bridge),
///     ..Class::new("pcie-root-port", "pcie-root-port-base")
/// };
/// assert!(PORT.user_creatable);
/// ```
///
/// `M` is whatever makes a device of the class.
#[derive(Clone, Copy, Debug)]
pub struct Class<M> {
    /// What `-device` calls it.
    pub name: &'static str,
    /// The class it inherits from.
    pub parent: &'static str,
    /// Whether it is there only to be inherited from.
    pub is_abstract: bool,
    /// Interfaces it has beside its parent's.
    pub interfaces: &'static [&'static str],
    /// Tables of properties beside its parent's.
    pub properties: &'static [&'static [Spec]],
    /// Properties that no one sets beforehand and that a device has while it
    /// lives: name and type.
    pub live: &'static [(&'static str, &'static str)],
    /// The class of the device inside, whose properties can be set on this one.
    pub inner: Option<&'static str>,
    /// The type of bus it plugs into, if not its parent's.
    pub bus: Option<&'static str>,
    /// Another name that `-device` takes.
    pub alias: Option<&'static str>,
    /// What a listing says of it.
    pub description: Option<&'static str>,
    /// Where a listing puts it, if not with its parent.
    pub category: Option<Category>,
    /// Whether `-device` may make one, if it may make one of its parent.
    pub user_creatable: bool,
    /// Whether one can come and go while the machine runs, if that holds for
    /// its parent.
    pub hotpluggable: bool,
    /// Makes a device, unless that is done elsewhere.
    pub make: Option<M>,
}

impl<M> Class<M> {
    /// A class that adds nothing to its parent.
    #[must_use]
    pub const fn new(name: &'static str, parent: &'static str) -> Self {
        Self {
            name,
            parent,
            is_abstract: false,
            interfaces: &[],
            properties: &[],
            live: &[],
            inner: None,
            bus: None,
            alias: None,
            description: None,
            category: None,
            user_creatable: true,
            hotpluggable: true,
            make: None,
        }
    }

    /// A class that is there only to be inherited from.
    #[must_use]
    pub const fn base(name: &'static str, parent: &'static str) -> Self {
        let mut class = Self::new(name, parent);
        class.is_abstract = true;
        class
    }

    /// The properties it adds to its parent's.
    pub fn own(&self) -> impl Iterator<Item = &'static Spec> + use<M> {
        self.properties.iter().copied().flatten()
    }
}

/// The classes there are.
#[derive(Clone, Copy, Debug)]
pub struct Classes<M: 'static> {
    list: &'static [&'static Class<M>],
}

impl<M: Copy> Classes<M> {
    /// These classes.
    #[must_use]
    pub const fn new(list: &'static [&'static Class<M>]) -> Self {
        Self { list }
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = &'static Class<M>> {
        self.list.iter().copied()
    }

    /// The class of that name.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'static Class<M>> {
        self.iter().find(|class| class.name == name)
    }

    /// The class that `-device` means by a name or alias.
    #[must_use]
    pub fn model(self, name: &str) -> Option<&'static Class<M>> {
        let alias = || self.iter().find(|class| class.alias == Some(name));
        self.find(name).or_else(alias)
    }

    /// A class and those it inherits from, itself first.
    pub fn ancestry(self, class: &'static Class<M>) -> impl Iterator<Item = &'static Class<M>> {
        std::iter::successors(Some(class), move |class| self.find(class.parent))
    }

    /// Whether a class is of the named one, directly or not.
    #[must_use]
    pub fn is_a(self, class: &'static Class<M>, name: &str) -> bool {
        self.ancestry(class)
            .any(|class| class.name == name || class.parent == name)
    }

    /// The properties a class has by itself and by inheritance, its own first.
    pub fn properties(self, class: &'static Class<M>) -> impl Iterator<Item = &'static Spec> {
        self.ancestry(class).flat_map(Class::own)
    }

    /// The property of that name, with the class whose name an error about it
    /// bears: the device's own, or that of the device inside.
    #[must_use]
    pub fn property(
        self,
        class: &'static Class<M>,
        name: &str,
    ) -> Option<(&'static Class<M>, &'static Spec)> {
        let own = self.properties(class).find(|spec| spec.name == name);
        if let Some(spec) = own {
            return Some((class, spec));
        }
        self.property(self.inner(class)?, name)
    }

    /// The class of the device inside.
    #[must_use]
    pub fn inner(self, class: &'static Class<M>) -> Option<&'static Class<M>> {
        self.ancestry(class)
            .find_map(|class| class.inner)
            .and_then(|inner| self.find(inner))
    }

    /// The type of bus that devices of a class plug into.
    #[must_use]
    pub fn bus(self, class: &'static Class<M>) -> Option<&'static str> {
        self.ancestry(class).find_map(|class| class.bus)
    }

    /// Whether `-device` may make one.
    #[must_use]
    pub fn is_user_creatable(self, class: &'static Class<M>) -> bool {
        self.ancestry(class).all(|class| class.user_creatable)
    }

    /// Whether one can come and go while the machine runs.
    #[must_use]
    pub fn is_hotpluggable(self, class: &'static Class<M>) -> bool {
        self.ancestry(class).all(|class| class.hotpluggable)
    }

    /// Where a listing puts a class.
    #[must_use]
    pub fn category(self, class: &'static Class<M>) -> Option<Category> {
        self.ancestry(class).find_map(|class| class.category)
    }

    /// What a listing says of a class.
    #[must_use]
    pub fn description(self, class: &'static Class<M>) -> Option<&'static str> {
        self.ancestry(class).find_map(|class| class.description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Properties as _;

    crate::properties! {
        /// What every lamp has.
        struct Base {
            power: bool = false => "power";
        }
    }

    crate::properties! {
        /// What is inside.
        struct Bulb {
            watts: u32 = 40 => "watts";
        }
    }

    const CLASSES: Classes<()> = Classes::new(&[
        &Class {
            properties: &[Base::SPECS],
            bus: Some("Socket"),
            category: Some(Category::Display),
            ..Class::base("lamp", "device")
        },
        &Class {
            inner: Some("bulb"),
            ..Class::new("desk-lamp", "lamp")
        },
        &Class {
            properties: &[Bulb::SPECS],
            ..Class::new("bulb", "device")
        },
    ]);

    #[test]
    fn properties_come_from_ancestors_and_from_inside() {
        let desk = CLASSES.find("desk-lamp").expect("listed");
        let owner = |name| {
            let found = CLASSES.property(desk, name);
            found.map(|(class, spec)| (class.name, spec.name))
        };
        assert_eq!(owner("power"), Some(("desk-lamp", "power")));
        assert_eq!(owner("watts"), Some(("bulb", "watts")));
        assert_eq!(owner("colour"), None);
    }

    #[test]
    fn the_rest_is_inherited() {
        let desk = CLASSES.find("desk-lamp").expect("listed");
        assert_eq!(CLASSES.bus(desk), Some("Socket"));
        assert_eq!(CLASSES.category(desk), Some(Category::Display));
        assert_eq!(CLASSES.description(desk), None);
        assert!(CLASSES.is_a(desk, "lamp") && CLASSES.is_a(desk, "device"));
        assert!(!CLASSES.is_a(desk, "bulb"));
    }
}
