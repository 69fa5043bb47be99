"""Drives a machine with the qemu.qmp library, the way its users do."""

import asyncio
import sys

from qemu.qmp import ExecuteError, QMPClient


async def main(path: str) -> None:
    qmp = QMPClient("probe")
    await qmp.connect(path)
    status = await qmp.execute("query-status")
    assert status == {"status": "prelaunch", "running": False}, status

    listener_events = []
    with qmp.listener(("RESUME", "STOP", "RESET")) as listener:
        await qmp.execute("cont")
        listener_events.append((await listener.get())["event"])
        await qmp.execute("stop")
        listener_events.append((await listener.get())["event"])
        await qmp.execute("system_reset")
        listener_events.append((await listener.get())["event"])
    assert listener_events == ["RESUME", "STOP", "RESET"], listener_events

    try:
        await qmp.execute("qom-get", {"path": "/nosuch", "property": "x"})
    except ExecuteError as error:
        assert error.error_class == "DeviceNotFound", error
    else:
        raise AssertionError("qom-get of nothing succeeds")

    replies = await asyncio.gather(*(qmp.execute("query-version") for _ in range(50)))
    assert all(reply["qemu"]["major"] == 10 for reply in replies)

    schema = await qmp.execute("query-qmp-schema")
    commands = {entity["name"] for entity in schema if entity["meta-type"] == "command"}
    listed = {command["name"] for command in await qmp.execute("query-commands")}
    assert commands == listed, commands ^ listed

    await qmp.execute("quit")
    try:
        await qmp.disconnect()
    except EOFError:
        # The server may close first (QEMU does now and then); the library
        # reports that as an exception.
        pass
    print("driven")


asyncio.run(main(sys.argv[1]))
