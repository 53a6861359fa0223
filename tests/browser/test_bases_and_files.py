"""Knowledge bases and files, of this machine and at a provider, on the page in a real browser."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from novaops.errors import Unreachable
from novaops.features.api.app.backend import (
    Choice,
    Place,
    ProviderBase,
    ProviderChoice,
    ProviderFile,
)
from tests.browser.tab import Tab
from tests.support.page_backend import PageBackend

pytestmark = pytest.mark.long


def test_a_base_is_made_filled_and_asked(tab: Tab, backend: PageBackend, tmp_path: Path) -> None:
    file = tmp_path / "slow 手册.txt"
    file.write_text("text")
    tab.one("#add-base").click()
    tab.one("#base-name").send_keys("mine", Keys.ENTER)
    tab.until(lambda: tab.one("#documents").is_displayed())
    tab.one("#choose").send_keys(str(file))
    tab.shows("#files", "being read…")
    backend.reading.release()
    tab.shows("#files", "passages: 3")
    assert backend.known["mine"] == {"slow 手册.txt": 3}
    tab.ask("How?")
    tab.answered()
    assert backend.questions[-1].base == "mine"
    assert tab.text(".passages").splitlines() == ["Passages from “mine”", "1 · router.pdf, page 7"]
    tab.one(".passages summary").click()
    assert tab.text(".passages blockquote") == "Hold the button for ten seconds."


def test_a_base_at_the_provider_is_shown_and_asked(tab: Tab, backend: PageBackend) -> None:
    backend.there = [ProviderBase("local/vs_1", "alarms")]
    backend.kept = {
        "file-1": ProviderFile("file-1", "alarms.json", "ready"),
        "file-2": ProviderFile("file-2", "new.pdf", "pending"),
        "file-3": ProviderFile("file-3", "old.pdf", "failed", "failed: no text in it"),
    }
    backend.inside = {"local/vs_1": list(backend.kept)}
    tab.one("#check").click()
    tab.shows("#bases", "alarms · at local")
    tab.one("input[value='local/vs_1']").click()
    tab.shows("#files", "alarms.json\nready\n×\nnew.pdf\nbeing read…\n×\nold.pdf\nnot added\n×\nfailed: no text in it")
    tab.ask("How?")
    tab.answered()
    assert backend.questions[-1].base == "local/vs_1"
    tab.expected.append("/api/check")
    tab.choose("#provider", "openai")
    tab.until(lambda: "alarms" not in tab.text("#bases"))
    assert not tab.one("#documents").is_displayed()
    assert not tab.one("#files-there").is_displayed(), "there is no key for this one"


def removed(tab: Tab, rows: str, left: int) -> None:
    """The last one is taken off, by a button that has to be pressed twice."""
    for _ in range(2):
        tab.one(f"{rows}:last-child button").click()
    tab.until(lambda: len(tab.all(rows)) == left)


def test_a_base_at_the_provider_is_made_filled_emptied_and_deleted(tab: Tab, backend: PageBackend, tmp_path: Path) -> None:
    (tmp_path / "slow.csv").write_text("text")
    tab.one("#add-base").click()
    tab.choose("#where", "there")
    assert tab.text("#where option:checked") == "at local"
    assert not tab.one("#vectors").is_displayed(), "a provider takes a model of its own"
    tab.one("#base-name").send_keys("alarms", Keys.ENTER)
    tab.shows("#bases", "alarms · at local")
    tab.until(lambda: tab.one("#documents").is_displayed())
    tab.one("#choose").send_keys(str(tmp_path / "slow.csv"))
    tab.shows("#files", "sent to the provider: 50 %")
    backend.reading.release()
    tab.shows("#files", "slow.csv\nready")
    assert backend.inside == {"local/vs_1": ["file-1"]}
    removed(tab, "#files li", 0)
    assert (backend.inside, list(backend.kept)) == ({"local/vs_1": []}, ["file-1"])
    for _ in range(2):
        tab.one(".base:has(input[value='local/vs_1']) button").click()
    tab.until(lambda: "alarms" not in tab.text("#bases"))
    assert backend.there == []
    assert tab.text("#bases-problem") == ""


def test_files_at_the_provider_are_sent_for_a_purpose_and_deleted(tab: Tab, backend: PageBackend, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}\n" * 1000)
    (tmp_path / "bad.jsonl").write_text("\x00")
    tab.shows("#files-title", "Files at local")
    tab.one("#files-title").click()
    tab.until(lambda: tab.one("#purpose").is_displayed())
    tab.choose("#purpose", "fine-tune")
    tab.one("#choose-there").send_keys(str(tmp_path / "train.jsonl"))
    tab.shows("#there", "train.jsonl\nready\n×\nfine-tune · 2 KiB")
    assert [(each.name, each.purpose) for each in backend.kept.values()] == [("train.jsonl", "fine-tune")]
    tab.one("#choose-there").send_keys(str(tmp_path / "bad.jsonl"))
    tab.shows("#there .failed", "save it as UTF-8")
    for left in (1, 0):
        removed(tab, "#there li", left)
    assert backend.kept == {}


def test_a_file_dropped_on_the_provider_goes_there(tab: Tab, backend: PageBackend) -> None:
    tab.one("input[value=manuals]").click()
    tab.one("#files-title").click()
    tab.until(lambda: tab.one("#drop-there").is_displayed())
    tab.script(
        "const data = new DataTransfer(); data.items.add(new File(['text'], 'dropped.csv'));"
        "document.getElementById('drop-there').dispatchEvent("
        "new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));"
    )
    tab.shows("#there", "dropped.csv")
    tab.until(lambda: [each.name for each in backend.kept.values()] == ["dropped.csv"])
    assert list(backend.known["manuals"]) == ["router.pdf"]


def test_a_base_is_made_with_vectors(tab: Tab, backend: PageBackend) -> None:
    tab.one("#add-base").click()
    tab.one("#vectors").send_keys("local/embed-1")
    tab.one("#base-name").send_keys("near", Keys.ENTER)
    tab.until(lambda: tab.one("#documents").is_displayed())
    assert (list(backend.known), backend.embeddings) == (["manuals", "near"], "local/embed-1")


def test_only_the_passages_are_shown_where_that_is_asked_for(tab: Tab, backend: PageBackend) -> None:
    assert not tab.one("#search").is_displayed(), "there is no base yet"
    tab.one("input[value=manuals]").click()
    for text, said in (("which button?", "1 · router.pdf, page 7"), ("nothing", "“manuals” has no passage about this")):
        tab.one("#ask").send_keys(text)
        tab.one("#search").click()
        tab.shows(".turn:last-child .passages", said)
        assert tab.text(".turn:last-child .text") == ""
    assert not backend.questions
    tab.ask("How?")
    tab.answered()
    assert len(backend.questions[0].messages) == 1, "what was looked up is no part of the conversation"


HELD = """\
const send = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.send = function (body) { window.late = () => send.call(this, body); };
"""
"""An upload begins when `late` is called."""
OTHER = ProviderChoice("other", usable=True, routes=("direct",), keeps_bases=True, purposes=("knowledge",), largest=1 << 20)


@pytest.fixture
def two(tab: Tab, backend: PageBackend) -> Tab:
    """The page with one more provider that keeps bases."""
    backend.more = [OTHER]
    tab.driver.refresh()
    tab.ready()
    return tab


def named(tab: Tab, name: str) -> None:
    """A base at the provider is asked for."""
    tab.one("#add-base").click()
    tab.choose("#where", "there")
    tab.one("#base-name").send_keys(name, Keys.ENTER)


def test_a_base_is_made_at_the_provider_that_the_form_says(two: Tab, backend: PageBackend) -> None:
    two.one("#add-base").click()
    two.choose("#where", "there")
    two.choose("#provider", "other")
    two.until(lambda: two.text("#where option:checked") == "at other")
    two.one("#base-name").send_keys("mine", Keys.ENTER)
    two.shows("#bases", "mine · at other")
    assert [each.id for each in backend.there] == ["other/vs_1"]


def test_a_base_that_was_made_meanwhile_is_not_taken_for_one_of_another_provider(two: Tab, backend: PageBackend) -> None:
    backend.waits["create_there"] = threading.Semaphore(0)
    named(two, "mine")
    two.choose("#provider", "other")
    backend.waits["create_there"].release()
    two.until(lambda: not two.one("#new-base").is_displayed())
    assert "mine" not in two.text("#bases")
    two.choose("#provider", "local")
    two.shows("#bases", "mine · at local")


def test_a_base_is_made_once(tab: Tab, backend: PageBackend) -> None:
    backend.waits["create_there"] = threading.Semaphore(0)
    named(tab, "mine")
    tab.one("#base-name").send_keys(Keys.ENTER)
    for _ in range(2):
        backend.waits["create_there"].release()
    tab.shows("#bases", "mine · at local")
    assert [each.id for each in backend.there] == ["local/vs_1"]


def test_a_base_at_the_provider_is_reached_by_the_route_of_now(tab: Tab, backend: PageBackend, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    tab.expected.append("/api/check")
    named(tab, "mine")
    tab.until(lambda: tab.one("#documents").is_displayed())
    tab.choose("#via", "canada")
    tab.until(lambda: backend.listed[-1] == (Choice("local", "canada"), "local/vs_1"))
    tab.one("#choose").send_keys(str(tmp_path / "a.txt"))
    tab.shows("#files", "a.txt\nready")
    assert backend.added == [Place("local/vs_1", Choice("local", "canada"))]


def test_a_listing_that_comes_late_undoes_nothing(tab: Tab, backend: PageBackend) -> None:
    arrived = "return performance.getEntriesByName(`${location.origin}/api/provider-bases`).length"
    tab.until(lambda: tab.script(arrived) == 1)
    backend.waits["provider_bases"] = threading.Semaphore(0)
    tab.one("#check").click()
    named(tab, "mine")
    tab.shows("#bases", "mine · at local")
    backend.waits.pop("provider_bases").release()
    tab.until(lambda: tab.script(arrived) == 2)
    tab.press("after it")
    assert "mine · at local" in tab.text("#bases")
    assert tab.one("input[value='local/vs_1']").is_selected()


def test_a_listing_that_fails_takes_nothing_away(tab: Tab, backend: PageBackend) -> None:
    tab.expected.append("/api/provider-bases")
    named(tab, "mine")
    tab.until(lambda: tab.one("#documents").is_displayed())
    backend.fails["provider_bases"] = Unreachable("it is down")
    tab.one("#check").click()
    tab.until(lambda: not backend.fails)
    tab.shows("#latency", "answers in")
    assert tab.one("input[value='local/vs_1']").is_selected()


@pytest.fixture
def opened(tab: Tab) -> Tab:
    """The page with the list of the provider's files."""
    tab.one("#files-title").click()
    tab.until(lambda: tab.one("#purpose").is_displayed())
    return tab


def test_one_listing_that_fails_does_not_end_the_watching(opened: Tab, backend: PageBackend, tmp_path: Path) -> None:
    (tmp_path / "slow.txt").write_text("text")
    opened.one("#choose-there").send_keys(str(tmp_path / "slow.txt"))
    opened.shows("#there", "sent to the provider: 50 %")
    backend.fails["provider_files"] = Unreachable("it is down")
    opened.shows("#there-problem", "it is down")
    assert "slow.txt" in opened.text("#there"), "what is on its way is known here"
    backend.reading.release()
    opened.shows("#there", "slow.txt\nready")
    assert opened.text("#there-problem") == ""


def test_a_button_that_waits_for_its_second_press_stops_nothing(opened: Tab, backend: PageBackend, tmp_path: Path) -> None:
    backend.kept["file-9"] = ProviderFile("file-9", "old.txt", "ready")
    (tmp_path / "slow.txt").write_text("text")
    opened.one("#choose-there").send_keys(str(tmp_path / "slow.txt"))
    opened.shows("#there", "sent to the provider: 50 %")
    opened.one("#there li:first-child button").click()
    backend.reading.release()
    opened.shows("#there", "slow.txt\nready")
    assert opened.one("#there li:first-child button").text == "Sure?"
    assert opened.focused() == "Sure?"


def test_an_upload_that_failed_unseen_says_so_when_its_list_is_shown(opened: Tab, backend: PageBackend, tmp_path: Path) -> None:
    del backend
    opened.expected.append("/api/provider-files/")
    (tmp_path / ("x" * 230)).write_text("text")
    opened.script(HELD)
    opened.one("#choose-there").send_keys(str(tmp_path / ("x" * 230)))
    opened.one("#files-title").click()
    opened.until(lambda: not opened.one("#purpose").is_displayed())
    opened.script("window.late()")
    opened.until(lambda: opened.script("return !document.querySelector('#there progress')"))
    opened.one("#files-title").click()
    opened.shows("#there-problem", "the file's name cannot be used")


def test_another_purpose_asks_nothing(opened: Tab, backend: PageBackend) -> None:
    opened.until(lambda: backend.listed)
    opened.choose("#purpose", "fine-tune")
    opened.one("#check").click()
    opened.shows("#latency", "answers in")
    assert len(backend.listed) == 1


def test_a_slow_deletion_leaves_selection_and_focus_alone(tab: Tab, backend: PageBackend) -> None:
    named(tab, "mine")
    tab.until(lambda: tab.one("#documents").is_displayed())
    tab.one("input[value=manuals]").click()
    backend.waits["delete_there"] = threading.Semaphore(0)
    for _ in range(3):
        tab.one(".base:has(input[value='local/vs_1']) button").click()
    tab.one("#ask").send_keys("half a ")
    backend.waits["delete_there"].release()
    tab.until(lambda: "mine" not in tab.text("#bases"))
    tab.press("question")
    assert tab.one("#ask").get_property("value") == "half a question"
    assert tab.one("input[value=manuals]").is_selected()
    assert backend.there == []
    assert tab.text("#bases-problem") == "", "the third press deletes nothing more"


def test_what_could_not_be_removed_is_said_beside_its_own_base(tab: Tab, backend: PageBackend) -> None:
    tab.expected.append("/api/provider-files/remove")
    backend.there = [ProviderBase("local/vs_1", "one"), ProviderBase("local/vs_2", "two")]
    backend.kept = {"file-1": ProviderFile("file-1", "a.txt", "ready")}
    backend.inside = {"local/vs_1": ["file-1"]}
    tab.one("#check").click()
    tab.shows("#bases", "two · at local")
    tab.one("input[value='local/vs_1']").click()
    tab.shows("#files", "a.txt")
    backend.waits["remove_there"] = threading.Semaphore(0)
    backend.fails["remove_there"] = Unreachable("it is down")
    for _ in range(2):
        tab.one("#files button").click()
    tab.one("input[value='local/vs_2']").click()
    backend.waits["remove_there"].release()
    tab.until(lambda: not backend.fails)
    tab.one("input[value='local/vs_1']").click()
    tab.shows("#documents-problem", "it is down")
    tab.one("input[value='local/vs_2']").click()
    assert tab.text("#documents-problem") == ""


def test_the_focus_goes_to_the_next_file_when_one_is_gone(opened: Tab, backend: PageBackend) -> None:
    backend.kept = {f"file-{number}": ProviderFile(f"file-{number}", f"{number}.txt", "ready") for number in (1, 2, 3)}
    opened.one("#files-title").click()
    opened.one("#files-title").click()
    opened.shows("#there", "3.txt")
    opened.script("document.querySelector('#there button').focus()")
    opened.press(Keys.ENTER)
    opened.press(Keys.ENTER)
    opened.until(lambda: "1.txt" not in opened.text("#there"))
    assert opened.script("return document.activeElement.getAttribute('aria-label')") == "Remove 2.txt"


def test_files_dropped_beside_the_list_of_the_provider_go_there(opened: Tab, backend: PageBackend) -> None:
    opened.script(
        "const data = new DataTransfer(); data.items.add(new File(['text'], 'a.csv'));"
        "document.getElementById('there').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));"
    )
    opened.until(lambda: [each.name for each in backend.kept.values()] == ["a.csv"])


def test_passages_only_is_offered_where_it_can_be(two: Tab, backend: PageBackend) -> None:
    backend.there = [ProviderBase("other/vs_1", "alarms")]
    two.choose("#provider", "other")
    two.shows("#bases", "alarms · at other")
    two.one("input[value='other/vs_1']").click()
    assert not two.one("#search").is_displayed(), "this provider searches only to answer"
    two.one("input[value=manuals]").click()
    assert two.one("#search").is_displayed()


def test_a_search_is_repeated_where_it_was_made(tab: Tab, backend: PageBackend) -> None:
    tab.expected.append("/api/search")
    tab.one("input[value=manuals]").click()
    backend.fails["search"] = Unreachable("it is down")
    tab.one("#ask").send_keys("which button?")
    tab.one("#search").click()
    tab.shows(".turn .problem", "it is down")
    assert tab.focused() == "ask"
    tab.one("input[name=base][value='']").click()
    tab.one(".turn .problem button").click()
    tab.shows(".turn .passages", "1 · router.pdf, page 7")
    assert tab.text("#spoken") == "passages: 1"


@pytest.mark.parametrize("width", [320, 375])
def test_there_is_room_for_a_question_to_a_base_on_a_narrow_screen(tab: Tab, width: int) -> None:
    tab.one("input[value=manuals]").click()
    tab.size(width, 640)
    assert tab.one("#ask").rect["width"] >= width - 60
    for selector in ("#send", "#search"):
        box = tab.one(selector).rect
        assert box["x"] + box["width"] <= width


def test_what_was_not_shown_is_in_the_language_of_now(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    tab.script(HELD)
    tab.one("input[value=manuals]").click()
    tab.one("#choose").send_keys(str(tmp_path / "a.txt"))
    tab.shows("#files", "uploading")
    tab.one("input[name=base][value='']").click()
    tab.one("#language").click()
    tab.one("input[value=manuals]").click()
    tab.shows("#files", "上传中")
    tab.script("window.late()")
    tab.shows("#files", "段落：3")


def test_what_cannot_be_added_says_why_beside_the_list(tab: Tab, tmp_path: Path) -> None:
    for name, content in (("a.exe", "x"), ("big.txt", "x" * ((1 << 20) + 1)), ("bad.txt", "\x00")):
        (tmp_path / name).write_text(content)
    tab.one("input[value=manuals]").click()
    tab.shows("#files", "router.pdf")
    for name, said in (("a.exe", "These can: txt, md, pdf"), ("big.txt", "big.txt is too large: the most is 1 MiB")):
        tab.one("#choose").send_keys(str(tmp_path / name))
        tab.shows("#documents-problem", said)
    tab.one("#choose").send_keys(str(tmp_path / "bad.txt"))
    tab.shows("#files .failed", "save it as UTF-8")
    tab.one("#files .failed button").click()
    assert tab.one("#files .failed button").text == "Sure?"
    tab.one("#files .failed button").click()
    tab.until(lambda: not tab.all("#files .failed"))


def test_files_are_dropped_and_the_base_is_named_then(tab: Tab, backend: PageBackend) -> None:
    tab.script(
        "const data = new DataTransfer(); data.items.add(new File(['text'], 'dropped.md'));"
        "for (const kind of ['dragover', 'drop'])"
        " dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));"
    )
    tab.shows("#pending", "For dropped.md")
    assert tab.focused() == "base-name"
    tab.press("found", Keys.ENTER)
    tab.shows("#files", "passages: 3")
    assert backend.known["found"] == {"dropped.md": 3}


def test_an_upload_shows_how_far_it_is(tab: Tab) -> None:
    tab.script(
        "window.seen = []; const set = Object.getOwnPropertyDescriptor(HTMLProgressElement.prototype, 'value').set;"
        "Object.defineProperty(HTMLProgressElement.prototype, 'value', { set(value) { seen.push(value); set.call(this, value); } });"
    )
    tab.one("input[value=manuals]").click()
    tab.shows("#files", "router.pdf")
    tab.script(
        "const data = new DataTransfer(); data.items.add(new File(['x'.repeat(1000000)], 'large.txt'));"
        "dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));"
    )
    tab.shows("#files", "large.txt")
    tab.shows("#files", "passages: 3")
    assert tab.script("return seen.at(-1)") == 1
