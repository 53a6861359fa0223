"""A tab of the browser: what a user sees there, and does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

SECONDS = 60
"""How long a condition is waited for."""


class Tab:
    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.expected: list[str] = []
        """Parts of addresses whose failures are meant: Chromium logs each as an error."""
        self._log()  # forgets what was before

    def ready(self) -> None:
        try:
            self.until(lambda: self.script("return document.documentElement.dataset.ready"))
        except TimeoutException as error:
            loaded = self.script("return performance.getEntriesByType('resource').map((each) => `${each.name} ${each.responseStatus}`)")
            raise AssertionError(f"the page did not get ready: {self._log()}; it has {loaded}") from error

    def complaints(self) -> list[str]:
        return [line for line in self._log() if not any(part in line and "Failed to load resource" in line for part in self.expected)]

    def _log(self) -> list[str]:
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def until(self, holds: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, SECONDS, poll_frequency=0.05).until(lambda _: holds())

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Of all such elements, as it is shown."""
        found = self.script("return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)", selector)
        return "\n".join(line for text in found for line in text.splitlines() if line.strip())

    def shows(self, selector: str, text: str) -> None:
        self.until(lambda: text in self.text(selector))

    def focused(self) -> str:
        """The id of what has the focus, else its text."""
        return str(self.script("const found = document.activeElement; return found.id || found.value || found.innerText"))

    def choose(self, selector: str, value: str) -> None:
        Select(self.one(selector)).select_by_value(value)

    def press(self, *keys: str) -> None:
        self.actions().send_keys(*keys).perform()

    def actions(self) -> ActionChains:
        return ActionChains(self.driver)

    def ask(self, question: str) -> None:
        self.one("#ask").send_keys(question, Keys.ENTER)

    def answered(self) -> None:
        self.until(lambda: self.one("#send").text in {"Send", "发送"})

    def size(self, width: int, height: int) -> None:
        """Of the page; a window has a least width."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefers(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
