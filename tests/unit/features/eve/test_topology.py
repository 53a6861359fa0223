from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import InventoryError
from novaops.features.eve import topology

PLAIN = """\
nodes:
  r1: {template: vyos}
  r2: {template: vyos}
links:
"""


def ends(text: str) -> list[list[str]]:
    return [[str(end) for end in link.ends] for link in topology.parse(text, "lab.yml").links]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("r1-r2", ["r1", "r2"]),
        ("r1:e1-r2:e0", ["r1:e1", "r2:e0"]),
        ("[r1, r2]", ["r1", "r2"]),
        ('["r1:eth1", "r2:Gi0/1"]', ["r1:eth1", "r2:Gi0/1"]),
        ('endpoints: ["r1:eth1", "r2:eth1"]', ["r1:eth1", "r2:eth1"]),
        ("{r1: , r2: {ipv4: 10.0.0.1/30}}", ["r1", "r2"]),
        ("r1-pnet0", ["r1", "pnet0"]),
        ("[r1, nat0]", ["r1", "nat0"]),
    ],
)
def test_a_link_in_each_form(link: str, expected: list[str]) -> None:
    assert ends(f"{PLAIN}  - {link}\n") == [expected]


def test_names_with_hyphens() -> None:
    text = "nodes: {a: vyos, a-b: vyos, b-c: vyos, c: vyos}\nlinks: [a-b-c, a-b-b-c]\n"
    assert ends(text) == [["a", "b-c"], ["a-b", "b-c"]]


def test_as_containerlab_writes_it() -> None:
    found = topology.parse(
        """\
name: two
topology:
  defaults: {kind: vyos}
  nodes:
    r1:
    r2: {kind: linux, image: linux-1, memory: 256}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
""",
        "two.clab.yml",
    )
    assert (found.node("r1").template, found.node("r2").template, found.node("r2").ram) == ("vyos", "linux", 256)
    assert found.path == "/two.unl"


def test_as_netlab_writes_it() -> None:
    found = topology.parse(
        "defaults.device: x\n".replace("defaults.device: x", "defaults: {device: vyos}") + "nodes: [r1, r2]\nlinks: [r1-r2]\n",
        "topology.yml",
    )
    assert [found.node(name).template for name in found.nodes] == ["vyos", "vyos"]
    assert found.name == "topology"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodes:\n  r1: {template: vyos, cpu: many}\n", 'lab.yml:2: nodes/r1/cpu: "many" is not an integer'),
        ("nodes:\n  r1: {kind: vyos, cpus: many}\n", 'lab.yml:2: nodes/r1/cpus: "many" is not an integer'),
        ("topology:\n  nodes:\n    r1:\n      kind: vyos\n      ram: 0\n", 'lab.yml:5: topology/nodes/r1/ram: "0" is less than 1'),
        ("nodes:\n  r1: {template: vyos, colour: red}\n", "lab.yml:2: nodes/r1/colour: there is no such key"),
        ("name: x\nprovider: clab\nnodes: {r1: vyos}\n", "lab.yml:2: provider: there is no such key"),
        ("nodes: {r1: {image: a}}\n", "lab.yml:1: nodes/r1: template is needed, here or in defaults"),
        ("nodes: {}\n", "lab.yml:1: a lab needs a node"),
        ("name: a/b\nnodes: {r1: vyos}\n", 'lab.yml:1: name: "a/b" has characters that are not taken here'),
        ("folder: /../x\nnodes: {r1: vyos}\n", 'lab.yml:1: folder: ".." cannot be a part of a path of a lab'),
        (f"{PLAIN}  - r1-r3\n", "lab.yml:1: links: r1-r3 is neither a node nor a network of EVE-NG such as pnet0"),
        (f"{PLAIN}  - [r1, r3]\n", "lab.yml:1: links: r3 is neither a node nor a network of EVE-NG such as pnet0"),
        (f"{PLAIN}  - [r1]\n", "lab.yml:1: links: r1 has fewer than two ends"),
        (f"{PLAIN}  - [pnet0, pnet1]\n", "lab.yml:1: links: pnet0-pnet1 joins two networks of EVE-NG"),
        (f"{PLAIN}  - r1:e0-r2:e0\n  - r1:e0-pnet0\n", "lab.yml:1: links: r1:e0 has two links"),
        (f"{PLAIN}  - r1:e1-r2:e1\n  - r1:1-pnet0\n", "lab.yml:1: links: r1:e1 has two links"),
        (f"{PLAIN}  - r1:eth1-r2:e1\n  - r1:Ethernet1-pnet0\n", "lab.yml:1: links: r1:eth1 has two links"),
        ("nodes: {r1: vyos}\nvalidate:\n  - {from: r2, ping: 10.0.0.1}\n", "lab.yml:1: validate: there is no node r2"),
        ("nodes: {r1: vyos}\nvalidate:\n  - {from: r1}\n", "lab.yml:3: validate/0: one of ping and send is needed"),
        (
            "nodes: {r1: vyos}\nvalidate:\n  - {from: r1, send: x, expect: '('}\n",
            'lab.yml:3: validate/0/expect: "(" is no regular expression',
        ),
        (
            "nodes: {r1: vyos}\nvalidate:\n  - {from: r1, send: x, expect: 'a{99999999999}'}\n",
            'lab.yml:3: validate/0/expect: "a{99999999999}" is no regular expression: the repetition number is too large',
        ),
        ("nodes: {r1: vyos}\nvalidate:\n  - {from: r1, send: x, expect: ''}\n", 'lab.yml:3: validate/0/expect: "" is found in every'),
        ("nodes: {r1: vyos}\nvalidate:\n  - {from: r1, send: x, expect: .*}\n", 'lab.yml:3: validate/0/expect: ".*" is found in every'),
        ("nodes: {r1: vyos}\nvalidate:\n  - {from: r1, ping: a; reboot}\n", "lab.yml:3: validate/0/ping: "),
        ("- r1\n", "lab.yml: a lab is a mapping with nodes: and links:"),
        ("nodes:\n\tr1: vyos\n", "lab.yml:2: this line is indented with a tab"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InventoryError) as caught:
        topology.parse(text, "lab.yml")
    assert caught.value.what.startswith(message)


@given(st.text())
def test_any_text_is_a_lab_or_a_sentence(text: str) -> None:
    _a_lab_or_a_sentence(text)


JSON_LIKE = st.recursive(
    st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(JSON_LIKE, JSON_LIKE)
def test_any_nodes_and_links_are_a_lab_or_a_sentence(nodes: object, links: object) -> None:
    _a_lab_or_a_sentence(yaml.safe_dump({"nodes": nodes, "links": links}))


def _a_lab_or_a_sentence(text: str) -> None:
    with suppress(InventoryError):
        topology.parse(text, "lab.yml")
