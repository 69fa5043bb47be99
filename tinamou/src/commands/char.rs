//! `char.json`: character devices.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tinamou_api as api;
use tinamou_chardev::Info;
use tinamou_monitor::Call;
use tinamou_qmp::{Error, Result};

use crate::backends;
use crate::objects;
use crate::options::BACKENDS;
use crate::vm::{Shared, Vm};

/// `query-chardev`
pub fn query_chardev(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::ChardevInfo>> {
    let info = |info: Info| api::ChardevInfo {
        label: info.label,
        filename: info.filename,
        frontend_open: info.frontend_open,
    };
    Ok(vm.chardevs.list().into_iter().map(info).collect())
}

/// `query-chardev-backends`
pub fn query_chardev_backends(_: &Shared, (): ()) -> Result<Vec<api::ChardevBackendInfo>> {
    Ok(BACKENDS
        .iter()
        .map(|name| api::ChardevBackendInfo {
            name: (*name).into(),
        })
        .collect())
}

/// `chardev-add`
pub fn chardev_add(
    vm: &mut Vm,
    _: &mut Call,
    args: api::ChardevAddArguments,
) -> Result<api::ChardevReturn> {
    let config = backends::from_api(args.backend, &mut vm.fds, &vm.objects);
    let config = config.map_err(|error| not_added(&args.id, &error.desc))?;
    let chardev = vm.chardevs.add(&args.id, config);
    let chardev = chardev.map_err(|error| not_opened(&args.id, &error))?;
    objects::add_chardev(&mut vm.qom, chardev.label(), &chardev.filename())?;
    Ok(api::ChardevReturn { pty: chardev.pty() })
}

/// `chardev-change`
pub fn chardev_change(
    vm: &mut Vm,
    _: &mut Call,
    args: api::ChardevChangeArguments,
) -> Result<api::ChardevReturn> {
    let config = backends::from_api(args.backend, &mut vm.fds, &vm.objects);
    let config = config.map_err(|error| not_added(&args.id, &error.desc))?;
    let chardev = vm.chardevs.change(&args.id, config);
    let chardev = chardev.map_err(|error| not_opened(&args.id, &error))?;
    Ok(api::ChardevReturn { pty: chardev.pty() })
}

/// `chardev-remove`
pub fn chardev_remove(
    vm: &mut Vm,
    _: &mut Call,
    args: api::ChardevRemoveArguments,
) -> Result<api::Empty> {
    vm.chardevs.remove(&args.id).map_err(backends::error)?;
    objects::remove_chardev(&mut vm.qom, &args.id);
    Ok(api::Empty {})
}

/// `chardev-send-break`
pub fn chardev_send_break(
    vm: &mut Vm,
    _: &mut Call,
    args: api::ChardevSendBreakArguments,
) -> Result<api::Empty> {
    vm.chardevs.send_break(&args.id).map_err(backends::error)?;
    Ok(api::Empty {})
}

/// `ringbuf-write`
pub fn ringbuf_write(
    vm: &mut Vm,
    _: &mut Call,
    args: api::RingbufWriteArguments,
) -> Result<api::Empty> {
    let bytes = match args.format {
        Some(api::DataFormat::Base64) => BASE64_STANDARD
            .decode(&args.data)
            .map_err(|_| Error::generic(format!("Base64 data '{}' is not valid", args.data)))?,
        _ => args.data.into_bytes(),
    };
    vm.chardevs
        .ringbuf_write(&args.device, &bytes)
        .map_err(backends::error)?;
    Ok(api::Empty {})
}

/// `ringbuf-read`
pub fn ringbuf_read(vm: &mut Vm, _: &mut Call, args: api::RingbufReadArguments) -> Result<String> {
    let bytes = vm
        .chardevs
        .ringbuf_read(&args.device, args.size)
        .map_err(backends::error)?;
    Ok(match args.format {
        Some(api::DataFormat::Base64) => BASE64_STANDARD.encode(bytes),
        // What is not UTF-8 shows as U+FFFD: base64 is for such data.
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    })
}

fn not_opened(id: &str, error: &tinamou_chardev::Error) -> Error {
    match error.is_open() {
        true => not_added(id, error),
        false => Error::generic(error.to_string()),
    }
}

fn not_added(id: &str, why: impl std::fmt::Display) -> Error {
    Error::generic(format!("Failed to add chardev '{id}': {why}"))
}
