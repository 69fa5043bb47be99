//! What the machine reports, turned into the schema's events.

use tinamou_api as api;
use tinamou_machine::run_state::{GuestPanicAction, WatchdogAction};
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
    api::MemoryDeviceSizeChangeEvent::NAME,
    api::VserportChangeEvent::NAME,
    api::BlockImageCorruptedEvent::NAME,
    api::BlockIoErrorEvent::NAME,
    api::BlockWriteThresholdEvent::NAME,
    api::DeviceTrayMovedEvent::NAME,
    api::GuestPanickedEvent::NAME,
    api::GuestCrashloadedEvent::NAME,
    api::GuestPvshutdownEvent::NAME,
    api::WatchdogEvent::NAME,
    api::RtcChangeEvent::NAME,
    api::NetdevStreamConnectedEvent::NAME,
    api::NetdevStreamDisconnectedEvent::NAME,
    api::NicRxFilterChangedEvent::NAME,
    api::DeviceDeletedEvent::NAME,
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
        Event::GuestPanicked(action) => events.emit(&api::GuestPanickedEvent {
            action: panic_action(action),
            info: None,
        }),
        Event::GuestCrashLoaded => events.emit(&api::GuestCrashloadedEvent {
            action: api::GuestPanicAction::Run,
            info: None,
        }),
        Event::GuestPvShutdown => events.emit(&api::GuestPvshutdownEvent {}),
        Event::Watchdog(action) => watchdog(events, action),
        _ => {}
    }
}

fn watchdog(events: &EventBus, action: WatchdogAction) {
    if action == WatchdogAction::Debug {
        eprintln!("watchdog: timer fired");
    }
    let known = by_name(api::WatchdogAction::ALL, action.name());
    events.emit(&api::WatchdogEvent {
        action: known.unwrap_or(api::WatchdogAction::None),
    });
}

fn panic_action(action: GuestPanicAction) -> api::GuestPanicAction {
    by_name(api::GuestPanicAction::ALL, action.name()).unwrap_or(api::GuestPanicAction::Run)
}

fn reason(cause: ShutdownCause) -> api::ShutdownCause {
    by_name(api::ShutdownCause::ALL, cause.name()).unwrap_or(api::ShutdownCause::None)
}
