//! The monitor: QMP and HMP sessions, dispatch, the event bus and its throttling. It knows no machine.
