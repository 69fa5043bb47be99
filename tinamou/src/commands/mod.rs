//! The commands: where the schema's interface meets the machine. One file per
//! schema file, and one list of what there is.

mod balloon;
pub mod block;
mod block_core;
mod char;
mod control;
pub mod machine;
pub mod memory_devices;
mod misc;
pub mod net;
mod object;
pub mod pci;
mod qdev;
mod qom;
mod run_state;
pub mod ui;
pub mod virtio;
mod yank;

use tinamou_api as api;
use tinamou_monitor::Table;

use crate::vm::{Shared, Vm};
pub use control::PACKAGE;
pub use run_state::by_name;

/// Every command that is built, in the order of the schema.
pub fn table() -> Table<Vm, Shared> {
    let mut table = Table::new();
    table
        .shared::<api::QueryStatus>(run_state::query_status)
        .main::<api::WatchdogSetAction>(run_state::watchdog_set_action)
        .main::<api::SetAction>(run_state::set_action)
        .main::<api::QueryBlock>(block_core::query_block)
        .main::<api::QueryBlockstats>(block_core::query_blockstats)
        .deferred::<api::BlockResize>(block_core::block_resize)
        .main::<api::QueryNamedBlockNodes>(block_core::query_named_block_nodes)
        .deferred::<api::BlockdevAdd>(block_core::blockdev_add)
        .deferred::<api::BlockdevReopen>(block_core::blockdev_reopen)
        .deferred::<api::BlockdevDel>(block_core::blockdev_del)
        .main::<api::BlockSetWriteThreshold>(block_core::block_set_write_threshold)
        .main::<api::Eject>(block::eject)
        .main::<api::BlockdevOpenTray>(block::blockdev_open_tray)
        .main::<api::BlockdevCloseTray>(block::blockdev_close_tray)
        .main::<api::BlockdevRemoveMedium>(block::blockdev_remove_medium)
        .main::<api::BlockdevInsertMedium>(block::blockdev_insert_medium)
        .deferred::<api::BlockdevChangeMedium>(block::blockdev_change_medium)
        .main::<api::BlockSetIoThrottle>(block::block_set_io_throttle)
        .main::<api::BlockLatencyHistogramSet>(block::block_latency_histogram_set)
        .main::<api::QueryChardev>(char::query_chardev)
        .shared::<api::QueryChardevBackends>(char::query_chardev_backends)
        .main::<api::RingbufWrite>(char::ringbuf_write)
        .main::<api::RingbufRead>(char::ringbuf_read)
        .main::<api::ChardevAdd>(char::chardev_add)
        .main::<api::ChardevChange>(char::chardev_change)
        .main::<api::ChardevRemove>(char::chardev_remove)
        .main::<api::ChardevSendBreak>(char::chardev_send_break)
        .shared::<api::QueryVersion>(control::query_version)
        .derived::<api::QueryCommands, _>(control::query_commands)
        .main::<api::Quit>(control::quit)
        .derived::<api::QueryQmpSchema, _>(control::query_qmp_schema)
        .main::<api::QomList>(qom::qom_list)
        .main::<api::QomGet>(qom::qom_get)
        .main::<api::QomSet>(qom::qom_set)
        .main::<api::QomListTypes>(qom::qom_list_types)
        .main::<api::QomListProperties>(qom::qom_list_properties)
        .main::<api::ObjectAdd>(object::object_add)
        .main::<api::ObjectDel>(object::object_del)
        .main::<api::DeviceListProperties>(qom::device_list_properties)
        .main::<api::DeviceAdd>(qdev::device_add)
        .main::<api::DeviceDel>(qdev::device_del)
        .main::<api::QueryCpusFast>(machine::query_cpus_fast)
        .shared::<api::QueryMachines>(machine::query_machines)
        .shared::<api::QueryTarget>(machine::query_target)
        .shared::<api::QueryUuid>(machine::query_uuid)
        .main::<api::SystemReset>(machine::system_reset)
        .main::<api::SystemPowerdown>(machine::system_powerdown)
        .shared::<api::SystemWakeup>(machine::system_wakeup)
        .shared::<api::InjectNmi>(machine::inject_nmi)
        .shared::<api::QueryKvm>(machine::query_kvm)
        .main::<api::Memsave>(machine::memsave)
        .main::<api::Pmemsave>(machine::pmemsave)
        .main::<api::Balloon>(balloon::balloon)
        .main::<api::QueryBalloon>(balloon::query_balloon)
        .main::<api::QueryMemdev>(object::query_memdev)
        .main::<api::QueryMemorySizeSummary>(memory_devices::query_memory_size_summary)
        .main::<api::QueryMemoryDevices>(memory_devices::query_memory_devices)
        .main::<api::Dumpdtb>(machine::dumpdtb)
        .shared::<api::QueryCpuDefinitions>(machine::query_cpu_definitions)
        .main::<api::SetLink>(net::set_link)
        .main::<api::NetdevAdd>(net::netdev_add)
        .main::<api::NetdevDel>(net::netdev_del)
        .main::<api::QueryRxFilter>(net::query_rx_filter)
        .main::<api::AnnounceSelf>(net::announce_self)
        .deferred::<api::Screendump>(ui::screendump)
        .main::<api::QueryMice>(ui::query_mice)
        .main::<api::SendKey>(ui::send_key)
        .main::<api::InputSendEvent>(ui::input_send_event)
        .shared::<api::Yank>(yank::yank)
        .shared::<api::QueryYank>(yank::query_yank)
        .main::<api::QueryPci>(pci::query_pci)
        .shared::<api::QueryName>(misc::query_name)
        .main::<api::Stop>(misc::stop)
        .main::<api::Cont>(misc::cont)
        .main::<api::XExitPreconfig>(misc::exit_preconfig)
        .main::<api::HumanMonitorCommand>(misc::human_monitor_command)
        .main::<api::Getfd>(misc::getfd)
        .main::<api::Closefd>(misc::closefd)
        .main::<api::AddFd>(misc::add_fd)
        .main::<api::RemoveFd>(misc::remove_fd)
        .main::<api::QueryFdsets>(misc::query_fdsets)
        .shared::<api::QueryCommandLineOptions>(misc::query_command_line_options)
        .main::<api::QueryIothreads>(object::query_iothreads)
        .main::<api::XQueryVirtio>(virtio::query_virtio)
        .main::<api::XQueryVirtioStatus>(virtio::query_virtio_status)
        .main::<api::XQueryVirtioQueueStatus>(virtio::query_virtio_queue_status)
        .main::<api::XQueryVirtioVhostQueueStatus>(virtio::query_virtio_vhost_queue_status)
        .main::<api::XQueryVirtioQueueElement>(virtio::query_virtio_queue_element);
    table
}
