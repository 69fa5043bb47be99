//! The arguments of `qmp_capabilities`.

use crate::visit::{self, Name, Source, Visit, VisitMembers};
use crate::{Error, Object, Result};

#[derive(Clone, Copy)]
enum Capability {
    Oob,
}

struct Arguments {
    enable: Option<Vec<Capability>>,
}

impl Visit for Capability {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        visit::enumeration(source, name, &[("oob", Self::Oob)])
    }
}

impl VisitMembers for Arguments {
    fn visit_members<S: Source>(source: &mut S) -> Result<Self> {
        Ok(Self {
            enable: visit::optional(source, "enable")?,
        })
    }
}

/// Negotiates: whether out-of-band execution is on from now on.
pub(super) fn negotiate(arguments: Object, negotiated: bool, offers_oob: bool) -> Result<bool> {
    let Arguments { enable } = visit::arguments(arguments)?;
    if negotiated {
        return Err(Error::negotiation_complete());
    }
    match enable.unwrap_or_default().as_slice() {
        [] => Ok(false),
        [Capability::Oob, ..] if offers_oob => Ok(true),
        [Capability::Oob, ..] => Err(Error::capability_not_available("oob")),
    }
}
