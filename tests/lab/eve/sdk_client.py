"""What the foreign client eve-ng does with the stand-in. Run by an environment of its own: `python sdk_client.py PROTOCOL PORT EDITION`."""

import sys

from evengsdk.client import EvengClient

protocol, port, edition = sys.argv[1:]
client = EvengClient("127.0.0.1", protocol=protocol, port=int(port), ssl_verify=False, disable_insecure_warnings=True)
client.login(username="admin", password="eve")  # noqa: S106 - the stand-in's
api = client.api
assert api.is_community == (edition == "community"), api.version
assert "pnet0" in api.network_types
templates = api.list_node_templates()["data"]
assert not templates["linux"].endswith(".missing")
assert templates["vios"].endswith(".missing")
assert "linux-guest" in api.node_template_detail("linux")["data"]["options"]["image"]["list"]
home = "" if edition == "community" else "admin/"
assert api.create_lab(name="sdk", path=f"/{home}", description="x")["status"] == "success"
path = "sdk.unl"
assert api.get_lab(path)["data"]["name"] == "sdk"
for name in ("r1", "r2"):
    assert api.add_node(path, template="linux", name=name, image="linux-guest")["status"] == "success"
assert api.connect_node_to_node(path, "r1", "e0", "r2", "e1")
api.add_lab_network(path, network_type="pnet0", name="out", visibility=1)
assert api.connect_node_to_cloud(path, "r1", "e1", "out")["status"] == "success"
number = api.get_node_by_name(path, "r1")["id"]
assert api.start_node(path, number)["status"] == "success"
assert api.get_node_by_name(path, "r1")["status"] == 2
assert api.stop_node(path, number)["status"] == "success"
assert api.get_node_by_name(path, "r1")["status"] == 0
assert api.delete_node(path, number)["status"] == "success"
assert api.delete_lab(path)["status"] == "success"
client.logout()
print("done")  # noqa: T201 - what the test waits for
