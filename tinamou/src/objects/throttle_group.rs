//! `throttle-group`: limits that nodes and disks share.

use std::sync::Arc;

use tinamou_api as api;
use tinamou_block::throttle::{Bucket, Group, Limits};
use tinamou_qmp::{Error, Object, Result, Value};
use tinamou_qom::Property;

use super::user::UserType;

/// The type.
pub const TYPE: UserType = UserType {
    name: "throttle-group",
    parent: "object",
    properties: &[("limits", "ThrottleLimits", None)],
};

/// Makes a group.
///
/// # Errors
/// Its limits contradict each other.
pub fn make(id: &str, options: &api::ThrottleGroupProperties) -> Result<Arc<Group>> {
    let group = Group::new(id);
    if let Some(given) = &options.limits {
        let set = group.set_limits(limits(given, group.limits())?);
        set.map_err(|error| Error::generic(error.to_string()))?;
    }
    Ok(group)
}

/// What `qom-get` and `qom-set` show of it.
pub fn properties(group: &Arc<Group>) -> Vec<(&'static str, Property)> {
    let (shown, changed) = (Arc::clone(group), Arc::clone(group));
    let property = Property::writable::<api::ThrottleLimits>(
        "limits",
        "ThrottleLimits",
        move || value(&shown.limits()),
        move |given| {
            let set = changed.set_limits(limits(&given, changed.limits())?);
            set.map_err(|error| Error::generic(error.to_string()))
        },
    );
    vec![("limits", property)]
}

/// The limits given on top of those in force.
fn limits(given: &api::ThrottleLimits, old: Limits) -> Result<Limits> {
    let g = given;
    let rates = [
        (g.bps_total, g.bps_total_max, g.bps_total_max_length),
        (g.bps_read, g.bps_read_max, g.bps_read_max_length),
        (g.bps_write, g.bps_write_max, g.bps_write_max_length),
        (g.iops_total, g.iops_total_max, g.iops_total_max_length),
        (g.iops_read, g.iops_read_max, g.iops_read_max_length),
        (g.iops_write, g.iops_write_max, g.iops_write_max_length),
    ];
    let limits = old.with(&rates, g.iops_size);
    limits.map_err(|error| Error::generic(error.to_string()))
}

fn value(limits: &Limits) -> Value {
    let number = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
    let mut members = Object::new();
    for bucket in Bucket::ALL {
        let name = bucket.name();
        let rate = limits.rate(bucket);
        members.insert(name.to_owned(), number(rate.average));
        members.insert(format!("{name}-max"), number(rate.burst));
        members.insert(format!("{name}-max-length"), number(rate.burst_length));
    }
    members.insert("iops-size".to_owned(), number(limits.op_size));
    Value::Object(members)
}
