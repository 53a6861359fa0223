"""What the foreign client of eveng-mcp-server does with the stand-in. Run by an environment of its own: `python mcp_client.py PORT`."""

import asyncio
import sys

from eveng_mcp_server.client import EveNGClient, EveNGClientError
from eveng_mcp_server.models import AddNodeInput


async def main() -> None:
    client = EveNGClient(f"http://127.0.0.1:{sys.argv[1]}")
    await client.login()
    assert (await client.get_status())["version"] == "6.2.0-4"
    assert "linux" in await client.list_node_templates()
    await client.create_lab("my lab", author="mcp")
    assert [lab["file"] for lab in await client.list_labs()] == ["my lab.unl"]
    path = "/my lab.unl"
    for name in ("r1", "r2"):
        await client.add_node(path, AddNodeInput(lab_path=path, template="linux", name=name, image="linux-guest"))
    network = (await client.create_network(path, "wire"))["id"]
    await client.connect_interface(path, 1, 0, network)
    await client.connect_interface(path, 2, 0, network)
    assert (await client.list_interfaces(path, 1))["ethernet"][0]["network_id"] == network
    await client.start_all_nodes(path)
    assert {number: node["status"] for number, node in (await client.list_nodes(path)).items()} == {"1": 2, "2": 2}
    await client.stop_node(path, 1)
    assert (await client.get_node(path, 1))["status"] == 0
    await client.stop_all_nodes(path)
    await client.delete_network(path, network)
    await client.delete_node(path, 2)
    await client.delete_lab(path)
    try:
        await client.get_lab(path)
    except EveNGClientError as error:
        assert error.code == 404  # noqa: PT017 - no pytest there
    else:
        raise AssertionError("the lab is still there")
    await client.close()
    print("done")  # noqa: T201 - what the test waits for


asyncio.run(main())
