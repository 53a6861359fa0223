"""The page in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from novaops.errors import UsageError
from novaops.features.api.app.backend import (
    Ended,
    Event,
    Question,
    Text,
)
from tests.browser.tab import Tab
from tests.support.page_backend import PageBackend
from tests.support.page_server import Served

pytestmark = pytest.mark.long

EVIL = """\
<script>window.evil = 1</script><img src=x onerror="window.evil = 2"> **<b onclick="evil()">bold</b>** `<svg onload=evil()>`

[link](javascript:window.evil=3) ![picture](https://evil.example/x.png)

```html
<iframe src="javascript:parent.evil = 4"></iframe>
```
- <style>body { display: none }</style>
# <a href="https://evil.example">here</a>
"""


def evil(_: Question) -> list[Event]:
    return [Text(EVIL[:50]), Text(EVIL[50:]), Ended("stop")]


def test_the_token_leaves_the_address_and_the_cookie_is_out_of_reach(tab: Tab, page: Served) -> None:
    assert tab.driver.current_url == f"{page.origin}/"
    assert tab.script("return document.cookie") == ""
    assert tab.script("return performance.getEntriesByType('resource').every((each) => each.name.startsWith(location.origin))")
    assert page.session.token not in tab.driver.page_source


def test_the_route_and_its_latency_are_shown(tab: Tab) -> None:
    tab.shows("#latency", "answers in 12 ms")
    tab.expected.append("/api/check")
    tab.choose("#via", "canada")
    tab.shows("#connection-problem", "canada does not answer")
    assert "novaops host check canada says more" in tab.text("#connection-problem"), "the next step stands beside it"
    tab.choose("#via", "direct")
    tab.shows("#latency", "answers in 12 ms")
    assert tab.text("#connection-problem") == ""


def test_a_provider_without_a_key_says_what_to_do(tab: Tab) -> None:
    tab.expected.append("/api/check")
    tab.choose("#provider", "openai")
    tab.shows("#connection-problem", "--key env:NAME")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        *((reason, "cut at the most tokens") for reason in ("length", "max_tokens", "MAX_TOKENS", "max_output_tokens")),
        *((reason, f"ended by {reason}") for reason in ("content_filter", "refusal", "pause_turn")),
        *((reason, "") for reason in ("stop", "end_turn", "tool_calls")),
    ],
)
def test_an_answer_that_is_not_whole_says_so(reason: str, said: str, tab: Tab, backend: PageBackend) -> None:
    backend.answering = lambda _: [Text("half"), Ended(reason)]
    tab.ask("half")
    tab.shows(".meta", "first word")
    spans = tab.script("return [...document.querySelectorAll('.meta span')].slice(1).map((each) => each.textContent)")
    assert spans == [said] * bool(said)
    assert tab.text("#spoken") == (said or "The answer is complete.")


def test_an_answer_streams_in_pieces(tab: Tab, backend: PageBackend) -> None:
    tab.ask("slowly")
    for part in ("You", "You said:", "You said: slowly"):
        backend.go_on.release()
        tab.shows(".turn .text", part)
        assert tab.one("#send").text == "Stop" or part.endswith("slowly")
    tab.answered()
    assert "direct · first word after" in tab.text(".meta")


@pytest.mark.parametrize("how", ["button", "Escape"])
def test_an_answer_stops_and_what_was_said_stays(tab: Tab, backend: PageBackend, how: str) -> None:
    tab.ask("slowly on and on")
    backend.go_on.release()
    tab.shows(".turn .text", "You")
    if how == "button":
        tab.one("#send").click()
    else:
        tab.press(Keys.ESCAPE)
    tab.answered()
    backend.go_on.release()
    tab.until(backend.closed.is_set)
    assert tab.text(".turn .text") == "You"
    assert "stopped" in tab.text(".meta")


def test_another_tab_is_a_conversation_of_its_own(tab: Tab, backend: PageBackend, page: Served) -> None:
    """The cookie is the browser's, so no link is needed. To stop one answer is not to stop the other."""
    first = tab.driver.current_window_handle
    tab.ask("slowly one")
    backend.go_on.release()
    tab.shows("#log", "You")
    tab.driver.switch_to.new_window("tab")
    tab.driver.get(page.link.partition("?")[0])
    tab.ready()
    assert tab.text("#log .turn") == ""
    tab.ask("quick two")
    tab.answered()
    tab.shows("#log", "You said: quick two")
    tab.driver.close()
    tab.driver.switch_to.window(first)
    assert not backend.questions[1].messages[:-1], "what was said in one tab is not sent from the other"
    for _ in range(3):
        backend.go_on.release()
    tab.answered()
    tab.shows("#log", "You said: slowly one")
    assert "quick" not in tab.text("#log")


def test_a_context_and_a_search_of_the_web(tab: Tab, backend: PageBackend) -> None:
    tab.expected.append("/api/check")
    tab.one("#side details summary").click()
    tab.one("#context").send_keys("The sky is green.")
    tab.one("#web-search").click()
    tab.ask("one")
    tab.answered()
    assert (backend.questions[0].context, backend.questions[0].web_search) == ("The sky is green.", True)
    tab.choose("#provider", "openai")
    assert not tab.one("#web-search").is_displayed(), "this one does not search"
    tab.ask("two")
    tab.answered()
    assert (backend.questions[1].context, backend.questions[1].web_search) == ("The sky is green.", False)


def test_the_conversation_goes_on(tab: Tab, backend: PageBackend) -> None:
    tab.one("#side details summary").click()
    tab.one("#system").send_keys("Be short.")
    tab.one("input[name=temperature]").send_keys("0.5")
    for question in ("one", "two"):
        tab.ask(question)
        tab.answered()
    roles = ["system", "user", "assistant", "user"]
    assert [role for role, _ in backend.questions[1].messages] == roles
    assert backend.questions[1].messages[2][1].strip() == "You said: one"
    assert backend.questions[1].parameters == {"temperature": 0.5}
    tab.one("#fresh").click()
    assert tab.one("#empty").is_displayed()
    tab.ask("three")
    tab.answered()
    assert len(backend.questions[2].messages) == 2, "a new chat knows nothing of the old one"


def test_an_error_stands_where_the_answer_would_and_can_be_tried_again(tab: Tab, backend: PageBackend) -> None:
    tab.ask("broken")
    tab.answered()
    assert tab.text(".turn .problem").splitlines() == [
        "the API does not answer",
        "The connection was refused.",
        "try again later",
        "Try again",
    ]
    backend.answering = lambda _: [Text("Now it works."), Ended("stop")]
    tab.one(".turn .problem button").click()
    tab.shows(".turn .text", "Now it works.")
    assert len(tab.all(".turn")) == 1


def test_a_server_that_is_gone_is_a_sentence(tab: Tab, backend: PageBackend) -> None:
    del backend
    tab.script("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
    tab.ask("hello")
    tab.shows(".turn .problem", "Start it again in the terminal: novaops api app")


def test_what_a_model_says_is_text(tab: Tab, backend: PageBackend) -> None:
    backend.answering = evil
    tab.ask(EVIL.splitlines()[0])
    tab.answered()
    assert tab.script("return window.evil") is None
    assert not tab.all(".turn script, .turn img, .turn svg, .turn iframe, .turn style, .turn a, .turn b")
    shown = tab.text(".turn .text")
    for part in ("<script>window.evil = 1</script>", 'onerror="window.evil = 2"', "[link](javascript:window.evil=3)", "<style>"):
        assert part in shown
    assert tab.text(".turn .said") == EVIL.splitlines()[0]


def test_a_little_markdown_is_shown(tab: Tab, backend: PageBackend) -> None:
    text = "# Title\nSome **bold** `code`.\n\n1. one\n2. two\n- a\n- b\n\n```sh\nls **x**\n```\nEnd"
    backend.answering = lambda _: [Text(text), Ended("stop")]
    tab.ask("x")
    tab.answered()
    html = tab.script("return document.querySelector('.turn .text').innerHTML")
    assert html == (
        '<h3>Title</h3><p>Some <strong>bold</strong> <code>code</code>.</p><ol start="1"><li>one</li><li>two</li></ol>'
        '<ul><li>a</li><li>b</li></ul><pre tabindex="0"><code>ls **x**\n</code></pre><p>End</p>'
    )


def test_several_answers_stand_below_each_other(tab: Tab, backend: PageBackend) -> None:
    backend.answering = lambda _: [Text("one", answer=0), Text("two **b**", answer=1), Ended("stop"), Ended("length", answer=1)]
    tab.one("#side details summary").click()
    tab.one("input[name=n]").send_keys("2")
    tab.one("input[name=user]").send_keys("ana 7")
    tab.ask("x")
    tab.answered()
    assert backend.questions[0].parameters == {"n": 2, "user": "ana 7"}
    assert tab.text(".turn .text").splitlines() == ["Answer 1", "one", "Answer 2", "two b"]
    assert "cut at the most tokens" in tab.text(".meta")
    tab.ask("y")
    tab.answered()
    assert backend.questions[1].messages[1] == ("assistant", "one"), "the conversation goes on with the first one"


def test_all_that_was_answered_is_kept(tab: Tab, backend: PageBackend, downloads: Path) -> None:
    """Also where only the second answer says something, and what was looked up."""
    backend.answering = lambda _: [
        Text("thought ", reasoning=True),
        Text("THOUGHT", reasoning=True, answer=1),
        Text("two", answer=1),
        Ended("stop"),
    ]
    tab.ask("x")
    tab.answered()
    assert tab.text(".turn .text").splitlines() == ["Answer 2", "two"]
    tab.one(".turn details summary").click()
    assert tab.text(".turn details div").split() == ["thought", "THOUGHT"]
    tab.one("input[value=manuals]").click()
    tab.one("#ask").send_keys("which button?")
    tab.one("#search").click()
    tab.shows(".turn:last-child .passages", "router.pdf")
    tab.one("#save").click()
    saved = downloads / "conversation.md"
    tab.until(saved.is_file)
    assert "two" in saved.read_text()
    assert "> Hold the button for ten seconds.\n\nrouter.pdf, page 7" in saved.read_text()


def test_a_page_that_could_not_be_set_up_loses_no_question(tab: Tab, backend: PageBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise UsageError("nothing works")

    monkeypatch.setattr(backend, "bases", broken)
    tab.expected += ["/api/state", "/api/bases"]
    tab.driver.refresh()
    tab.shows("#connection-problem", "nothing works")
    tab.ask("hello")
    tab.shows(".turn .problem", "The page could not be set up")
    assert tab.text(".turn .said") == "hello"


def test_all_of_it_works_by_keyboard(tab: Tab) -> None:
    assert tab.focused() == "ask"
    tab.press("first line")
    tab.actions().key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).send_keys("second line").perform()
    assert tab.one("#ask").get_property("value") == "first line\nsecond line"
    tab.press(Keys.ENTER)
    tab.answered()
    tab.until(lambda: tab.focused() == "ask")
    order = []
    tab.script("document.activeElement.blur()")
    for _ in range(20):
        tab.press(Keys.TAB)
        order.append(tab.focused())
        outlined = "return document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'"
        assert tab.script(outlined) or order[-1] in {"ask", "choose"}, "the frame of these two is their box's"
    for wanted in ("Go to the question", "theme", "language", "provider", "via", "check", "model", "add-base", "log", "ask", "send"):
        assert wanted in order
    tab.script("document.querySelector('input[name=base]').focus()")
    tab.press(Keys.ARROW_DOWN)
    tab.shows("#files", "router.pdf")
    assert tab.focused() == "manuals"


def test_an_input_method_takes_enter_for_itself(tab: Tab, backend: PageBackend) -> None:
    tab.script(
        "const ask = document.getElementById('ask'); ask.value = '中';"
        "ask.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }));"
    )
    assert tab.one("#ask").get_property("value") == "中"
    assert not backend.questions


@pytest.mark.parametrize("width", [320, 375, 768])
def test_narrow_screens_scroll_in_one_direction(tab: Tab, backend: PageBackend, width: int) -> None:
    wide = "x" * 300 + " \n```\n" + "y" * 300 + "\n```"
    backend.answering = lambda _: [Text(wide), Ended("stop")]
    tab.size(width, 640)
    tab.ask(wide[:100])
    tab.answered()
    assert tab.script("return document.documentElement.scrollWidth") <= width
    assert tab.script("const log = document.getElementById('log'); return log.scrollWidth - log.clientWidth") <= 0
    assert not tab.one("#side").is_displayed() or width > 768
    tab.one("#menu").click()
    assert tab.one("#provider").is_displayed()
    assert tab.script("const side = document.getElementById('side'); return side.scrollWidth - side.clientWidth") <= 0
    for selector in ("#send", "#language", "#menu"):
        box = tab.one(selector).rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 24, "large enough for a finger (WCAG 2.5.8)"


def test_chinese_and_back(tab: Tab) -> None:
    tab.ask("hello")
    tab.answered()
    tab.one("#language").click()
    assert tab.script("return document.documentElement.lang") == "zh-CN"
    assert tab.one("#send").text == "发送"
    assert "首字" in tab.text(".meta")
    assert "直连" in tab.text("#via")
    tab.one("#language").click()
    assert "first word" in tab.text(".meta")


CONTRAST = """
const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map((v) => v / 255)
  .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const solid = (element) => { for (let at = element; at; at = at.parentElement) {
  const colour = getComputedStyle(at).backgroundColor; if (!colour.endsWith(' 0)')) return colour; } return 'rgb(255, 255, 255)'; };
const said = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
return [...document.querySelectorAll('body *')].filter((each) => each.checkVisibility() && said(each))
  .map((each) => { const [a, b] = [light(getComputedStyle(each).color), light(solid(each))].sort((x, y) => y - x);
    return [each.tagName + ' ' + each.textContent.trim().slice(0, 30), (a + 0.05) / (b + 0.05)]; }).filter(([, ratio]) => ratio < 4.5);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(tab: Tab, scheme: str) -> None:
    """The contrast of each text is 4.5 or more (WCAG 1.4.3), by the system's choice and by the button."""
    tab.expected.append("/api/check")
    tab.prefers(scheme)
    dark = "return getComputedStyle(document.documentElement).colorScheme === 'dark'"
    assert tab.script(dark) == (scheme == "dark")
    assert tab.script(CONTRAST) == []
    tab.one("input[value=manuals]").click()
    for question in ("hello `code`", "broken"):
        tab.ask(question)
        tab.answered()
    assert tab.script(CONTRAST) == []
    tab.one("#theme").click()
    assert tab.script(dark) != (scheme == "dark")
    assert tab.script(CONTRAST) == []
    tab.prefers("light")


def test_only_what_the_user_saves_is_kept(tab: Tab, downloads: Path) -> None:
    tab.ask("hello")
    tab.answered()
    assert tab.script("return localStorage.length + sessionStorage.length") == 0
    tab.one("#save").click()
    saved = downloads / "conversation.md"
    tab.until(saved.is_file)
    assert saved.read_text().split() == ["##", "hello", "You", "said:", "hello"]


def test_both_languages_say_the_same_things(tab: Tab) -> None:
    different = tab.script(
        "return fetch('/texts.json').then((found) => found.json()).then(({ en, zh }) => {"
        " const holes = (text) => [...text.matchAll(/\\{(\\w+)\\}/g)].map((found) => found[1]).sort().join();"
        " return Object.keys({ ...en, ...zh }).filter((key) => !en[key] || !zh[key] || holes(en[key]) !== holes(zh[key])); });"
    )
    assert different == []


def test_a_violation_would_be_seen(tab: Tab) -> None:
    """The tests above trust that Chromium complains."""
    tab.script("const made = document.createElement('script'); made.textContent = 'window.evil = 1'; document.body.append(made)")
    tab.script("const made = document.createElement('img'); made.src = 'http://127.0.0.1:1/x.png'; document.body.append(made)")
    complaints = tab.until(lambda: [*tab.complaints()])
    assert tab.script("return window.evil") is None
    assert all("Content Security Policy" in line for line in complaints)
