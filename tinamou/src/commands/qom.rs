//! `qom.json` and `qdev.json`: the object tree.

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::{ClassProperty, ObjectId, PropertyInfo};

use crate::vm::Vm;

/// `qom-list`
pub fn qom_list(
    vm: &mut Vm,
    _: &mut Call,
    args: api::QomListArguments,
) -> Result<Vec<api::ObjectPropertyInfo>> {
    let info = |info: PropertyInfo| api::ObjectPropertyInfo {
        name: info.name,
        r#type: info.kind,
        description: None,
        default_value: None,
    };
    let object = vm.qom.resolve(&args.path)?;
    Ok(vm.qom.list(object).into_iter().map(info).collect())
}

/// `qom-get`
pub fn qom_get(vm: &mut Vm, _: &mut Call, args: api::QomGetArguments) -> Result<Value> {
    vm.qom.get(object(vm, &args.path)?, &args.property)
}

/// `qom-set`
pub fn qom_set(vm: &mut Vm, _: &mut Call, args: api::QomSetArguments) -> Result<api::Empty> {
    vm.qom
        .set(object(vm, &args.path)?, &args.property, args.value)?;
    Ok(api::Empty {})
}

/// The object at a path; one that leads to several leads nowhere here.
fn object(vm: &Vm, path: &str) -> Result<ObjectId> {
    let found = vm.qom.resolve(path);
    found.map_err(|_| Error::device_not_found(path))
}

/// `qom-list-types`
pub fn qom_list_types(
    vm: &mut Vm,
    _: &mut Call,
    args: api::QomListTypesArguments,
) -> Result<Vec<api::ObjectTypeInfo>> {
    let types = vm
        .types
        .list(args.implements.as_deref(), args.r#abstract.unwrap_or(false));
    Ok(types
        .map(|kind| api::ObjectTypeInfo {
            name: kind.name.into(),
            r#abstract: kind.is_abstract.then_some(true),
            parent: kind.parent.map(Into::into),
        })
        .collect())
}

/// `qom-list-properties`
pub fn qom_list_properties(
    vm: &mut Vm,
    _: &mut Call,
    args: api::QomListPropertiesArguments,
) -> Result<Vec<api::ObjectPropertyInfo>> {
    Ok(vm
        .types
        .properties(&args.typename)?
        .into_iter()
        .map(class_property)
        .collect())
}

/// `device-list-properties`
pub fn device_list_properties(
    vm: &mut Vm,
    _: &mut Call,
    args: api::DeviceListPropertiesArguments,
) -> Result<Vec<api::ObjectPropertyInfo>> {
    Ok(vm
        .types
        .device_properties(&args.typename)?
        .into_iter()
        .map(class_property)
        .collect())
}

fn class_property(property: &ClassProperty) -> api::ObjectPropertyInfo {
    api::ObjectPropertyInfo {
        name: property.name.into(),
        r#type: property.kind.to_string(),
        description: property.description.map(Into::into),
        default_value: property.default.clone(),
    }
}
