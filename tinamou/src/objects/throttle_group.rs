//! `throttle-group`: limits that nodes and disks share.

use std::sync::Arc;

use tinamou_api as api;
use tinamou_block::throttle::{BadLimits, Bucket, Group, Limits, Rate};
use tinamou_qmp::{Error, Object, Result, Value};
use tinamou_qom::Property;

use super::user::UserType;

/// The type.
pub const TYPE: UserType = UserType {
    name: "throttle-group",
    parent: "object",
    properties: &[("limits", "ThrottleLimits", None)],
};

/// The limits by name, each with a name for its burst and for the length of that.
const NAMES: [(Bucket, &str); 6] = [
    (Bucket::BytesTotal, "bps-total"),
    (Bucket::BytesRead, "bps-read"),
    (Bucket::BytesWrite, "bps-write"),
    (Bucket::OpsTotal, "iops-total"),
    (Bucket::OpsRead, "iops-read"),
    (Bucket::OpsWrite, "iops-write"),
];

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
    // A number below zero is out of range, like one that is too high.
    let number = |given: Option<i64>, old: u64| match given {
        None => Ok(old),
        Some(given) => u64::try_from(given).map_err(|_| range()),
    };
    let rate = |bucket, average, burst, length| -> Result<Rate> {
        let old = old.rate(bucket);
        Ok(Rate {
            average: number(average, old.average)?,
            burst: number(burst, old.burst)?,
            burst_length: number(length, old.burst_length)?,
        })
    };
    let g = given;
    use Bucket as B;
    Ok(Limits {
        buckets: [
            rate(
                B::BytesTotal,
                g.bps_total,
                g.bps_total_max,
                g.bps_total_max_length,
            )?,
            rate(
                B::BytesRead,
                g.bps_read,
                g.bps_read_max,
                g.bps_read_max_length,
            )?,
            rate(
                B::BytesWrite,
                g.bps_write,
                g.bps_write_max,
                g.bps_write_max_length,
            )?,
            rate(
                B::OpsTotal,
                g.iops_total,
                g.iops_total_max,
                g.iops_total_max_length,
            )?,
            rate(
                B::OpsRead,
                g.iops_read,
                g.iops_read_max,
                g.iops_read_max_length,
            )?,
            rate(
                B::OpsWrite,
                g.iops_write,
                g.iops_write_max,
                g.iops_write_max_length,
            )?,
        ],
        op_size: number(g.iops_size, old.op_size)?,
    })
}

fn value(limits: &Limits) -> Value {
    let number = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
    let mut members = Object::new();
    for (bucket, name) in NAMES {
        let rate = limits.rate(bucket);
        members.insert(name.to_owned(), number(rate.average));
        members.insert(format!("{name}-max"), number(rate.burst));
        members.insert(format!("{name}-max-length"), number(rate.burst_length));
    }
    members.insert("iops-size".to_owned(), number(limits.op_size));
    Value::Object(members)
}

fn range() -> Error {
    Error::generic(BadLimits::Range.to_string())
}
