//! What the machine reports, turned into the schema's events.

use tinamou_api as api;
use tinamou_machine::{Event, ShutdownCause};
use tinamou_monitor::EventBus;
use tinamou_qmp::Event as _;

use crate::commands::by_name;
use crate::log::CPU_RESET;

/// The names of all events that are sent.
pub const EVENTS: &[&str] = &[
    api::ShutdownEvent::NAME,
    api::PowerdownEvent::NAME,
    api::ResetEvent::NAME,
    api::StopEvent::NAME,
    api::ResumeEvent::NAME,
    api::BalloonChangeEvent::NAME,
    api::BlockIoErrorEvent::NAME,
    api::BlockWriteThresholdEvent::NAME,
    api::DeviceTrayMovedEvent::NAME,
    api::DeviceDeletedEvent::NAME,
    api::DeviceUnplugGuestErrorEvent::NAME,
];

/// Sends the event that the machine reports to every monitor.
pub fn emit(events: &EventBus, event: Event) {
    match event {
        Event::Stop => events.emit(&api::StopEvent {}),
        Event::Resume => events.emit(&api::ResumeEvent {}),
        Event::Powerdown => events.emit(&api::PowerdownEvent {}),
        Event::Reset(cause) => {
            tracing::debug!(target: CPU_RESET, cause = cause.name(), "machine reset");
            events.emit(&api::ResetEvent {
                guest: cause.by_guest(),
                reason: reason(cause),
            });
        }
        Event::Shutdown(cause) => {
            events.emit(&api::ShutdownEvent {
                guest: cause.by_guest(),
                reason: reason(cause),
            });
        }
        _ => {}
    }
}

fn reason(cause: ShutdownCause) -> api::ShutdownCause {
    by_name(api::ShutdownCause::ALL, cause.name()).unwrap_or(api::ShutdownCause::None)
}
