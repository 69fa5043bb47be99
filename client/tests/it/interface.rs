//! The types of the interface, and what real QEMU answers.

use crate::peer::Qemu;
use serde::Serialize;
use serde_json::{Value, json};
use tinamou_client::Client;
use tinamou_interface::qmp::*;
use tinamou_qmp::typed::{self, TypedCommand};

/// Reads what a command without arguments returns, strictly, and says whether
/// it was not refused. Written again, it is the same.
async fn check<C: TypedCommand>(client: &Client) -> bool
where
    C::Return: Serialize,
{
    let Ok(reply) = client.request(C::NAME, json!({})).raw().await else {
        return false;
    };
    let text = reply.get();
    let typed: C::Return =
        typed::decode_strict(text).unwrap_or_else(|error| panic!("{}: {error} in {text}", C::NAME));
    let value: Value = serde_json::from_str(text).expect("it is JSON");
    let again = serde_json::to_value(&typed).expect("it can be written");
    assert_eq!(again, value, "{}", C::NAME);
    true
}

macro_rules! check_all {
    ($client:expr, $($command:ident)*) => {
        [$((check::<$command>($client).await, $command::NAME)),*]
    };
}

#[tokio::test]
async fn replies_of_qemu_are_what_their_types_say() {
    const OPTIONS: &[&str] = &[
        "-M",
        "virt",
        "-S",
        "-smp",
        "2",
        "-object",
        "iothread,id=io0",
        "-object",
        "memory-backend-ram,id=m0,size=1M",
        "-blockdev",
        "null-co,node-name=n0,read-zeroes=on",
        "-device",
        "virtio-blk-pci,drive=n0,id=d0",
        "-netdev",
        "hubport,hubid=0,id=net0",
        "-device",
        "virtio-net-pci,netdev=net0,id=nic0",
        "-device",
        "virtio-balloon-pci",
    ];
    let Some(qemu) = Qemu::start(OPTIONS) else {
        return;
    };
    let client = qemu.client().await;
    let checked = check_all!(&client,
        QueryAcpiOspmStatus QueryAudiodevs QueryBalloon QueryBlock QueryBlockExports
        QueryBlockJobs QueryBlockstats QueryChardev QueryChardevBackends QueryColoStatus
        QueryCommandLineOptions QueryCommands QueryCpuDefinitions QueryCpusFast QueryCryptodev
        QueryCurrentMachine QueryDisplayOptions QueryDump QueryDumpGuestMemoryCapability
        QueryFdsets QueryHotpluggableCpus QueryIothreads QueryJobs QueryKvm QueryMachines
        QueryMemdev QueryMemoryDevices QueryMemorySizeSummary QueryMice QueryMigrate
        QueryMigrateCapabilities QueryMigrateParameters QueryMigrationthreads QueryName
        QueryNamedBlockNodes QueryPci QueryQmpSchema QueryReplay QueryRxFilter QueryStatus
        QueryStatsSchemas QueryTarget QueryTpm QueryTpmModels QueryTpmTypes QueryUuid
        QueryVersion QueryVmGenerationId QueryVnc QueryVncServers QueryYank QomListTypes
    );
    let read = checked.iter().filter(|(read, _)| *read).count();
    assert!(read > 38, "{read} replies only: {checked:?}");
}
