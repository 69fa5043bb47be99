//! `net.json`: network back ends and what cards let in.

use std::time::Duration;

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_net::{Announcements, RxFilter, RxMode};
use tinamou_qmp::{Error, Result};

use crate::netdevs;
use crate::options::check_id;
use crate::vm::Vm;

/// `set_link`
pub fn set_link(vm: &mut Vm, _: &mut Call, args: api::SetLinkArguments) -> Result<api::Empty> {
    let set = vm.network.set_link(&args.name, args.up);
    set.map_err(netdevs::wire)?;
    Ok(api::Empty {})
}

/// `netdev_add`
pub fn netdev_add(vm: &mut Vm, _: &mut Call, netdev: api::Netdev) -> Result<api::Empty> {
    add(vm, netdev)?;
    Ok(api::Empty {})
}

/// Makes a back end.
///
/// # Errors
/// The id is none or taken, or the host refuses what is asked of it.
pub fn add(vm: &mut Vm, netdev: api::Netdev) -> Result<()> {
    let id = netdev.id.clone();
    check_id(&id).map_err(|error| Error::generic(error.message().to_owned()))?;
    if vm.network.is_free(&id).is_some() {
        return Err(Error::generic(format!("Duplicate ID '{id}'")));
    }
    let config = netdevs::from_api(netdev, &mut vm.fds)?;
    vm.network.add(&id, config).map_err(netdevs::wire)
}

/// `netdev_del`
pub fn netdev_del(vm: &mut Vm, _: &mut Call, args: api::NetdevDelArguments) -> Result<api::Empty> {
    remove(vm, &args.id)?;
    Ok(api::Empty {})
}

/// Removes a back end, and its filters.
///
/// # Errors
/// There is none of that id.
pub fn remove(vm: &mut Vm, id: &str) -> Result<()> {
    let filters = vm.network.remove(id).map_err(netdevs::wire)?;
    filters
        .iter()
        .try_for_each(|filter| vm.remove_object(filter))
}

/// `query-rx-filter`
pub fn query_rx_filter(
    vm: &mut Vm,
    _: &mut Call,
    args: api::QueryRxFilterArguments,
) -> Result<Vec<api::RxFilterInfo>> {
    let filters = vm.network.rx_filters(args.name.as_deref());
    let filters = filters.map_err(netdevs::wire)?;
    Ok(filters
        .into_iter()
        .map(|(name, filter)| info(name, filter))
        .collect())
}

fn info(name: String, filter: RxFilter) -> api::RxFilterInfo {
    let state = |mode| match mode {
        RxMode::Normal => api::RxState::Normal,
        RxMode::None => api::RxState::None,
        RxMode::All => api::RxState::All,
    };
    let texts =
        |table: Vec<tinamou_net::MacAddress>| table.iter().map(ToString::to_string).collect();
    api::RxFilterInfo {
        name,
        promiscuous: filter.promiscuous,
        multicast: state(filter.multicast),
        unicast: state(filter.unicast),
        vlan: state(filter.vlan),
        broadcast_allowed: filter.broadcast_allowed,
        multicast_overflow: filter.multicast_overflow,
        unicast_overflow: filter.unicast_overflow,
        main_mac: filter.main_mac.to_string(),
        vlan_table: filter.vlan_table.into_iter().map(i64::from).collect(),
        unicast_table: texts(filter.unicast_table),
        multicast_table: texts(filter.multicast_table),
    }
}

/// `announce-self`
pub fn announce_self(
    vm: &mut Vm,
    _: &mut Call,
    args: api::AnnounceParameters,
) -> Result<api::Empty> {
    let wait = |milliseconds: i64| Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    vm.network.announce(Announcements {
        name: args.id,
        interfaces: args.interfaces,
        rounds: u32::try_from(args.rounds.clamp(0, 1000)).unwrap_or(0),
        initial: wait(args.initial),
        max: wait(args.max),
        step: wait(args.step),
    });
    Ok(api::Empty {})
}
