from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.eve import api_paths
from novaops.features.eve.api_paths import Flavour

SEGMENT = st.text(min_size=1).filter(
    lambda text: text not in {".", ".."} and not set(text) & {"/", "\0"} and text.encode("utf-8", "replace")
)


@given(st.lists(SEGMENT.filter(lambda text: text.isprintable()), max_size=3), SEGMENT.filter(lambda text: text.isprintable()))
def test_no_name_leads_out_of_its_segment(folders: list[str], name: str) -> None:
    path = api_paths.lab_file("/".join(folders), name)
    sent = urlsplit("http://host" + api_paths.lab(path, "nodes", 1)).path
    assert [unquote(part) for part in sent.split("/")] == ["", "labs", *path.strip("/").split("/"), "nodes", "1"]
    assert not set(sent) & set(' ?#%"<>\\^`{|}') - {"%"}


@pytest.mark.parametrize("path", ["/../etc.unl", "/a/./b.unl", "/a\0b.unl"])
def test_a_path_that_leads_elsewhere_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be a part"):
        api_paths.encoded(path)


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [("/", "a", "/a.unl"), ("", "a.unl", "/a.unl"), ("/My Labs/x/", "a b", "/My Labs/x/a b.unl")],
)
def test_the_file_of_a_lab(folder: str, name: str, path: str) -> None:
    assert api_paths.lab_file(folder, name) == path


@pytest.mark.parametrize(
    ("version", "is_pro", "major", "first"),
    [
        ("6.2.0-4", False, 6, "/labs/a%20b.unl/nodes/2/stop"),
        ("7.2.0-4-PRO", True, 7, "/labs/a%20b.unl/nodes/2/stop/stopmode=3"),
        ("6.5.0-27-PRO", True, 6, "/labs/a%20b.unl/nodes/2/stop/stopmode=3"),
        ("", False, 0, "/labs/a%20b.unl/nodes/2/stop"),
    ],
)
def test_an_edition_is_told_by_its_version(version: str, is_pro: bool, major: int, first: str) -> None:  # noqa: FBT001 - a column
    flavour = Flavour(version)
    assert (flavour.is_pro, flavour.major) == (is_pro, major)
    assert flavour.stop_paths("/a b.unl", 2)[0] == first
