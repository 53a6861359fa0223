"""A real Chromium without a window. What it says of a violated policy, and each error of the page's script, fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.browser.tab import Tab
from tests.support.page_backend import CHOSEN, PageBackend
from tests.support.page_server import Served, served

NEEDED = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""Debian's packages, by their programs."""


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    missing = [package for program, package in NEEDED.items() if not shutil.which(program)]
    assert not missing, f"these packages of Debian's are not installed: {', '.join(missing)}; scripts/install --long installs them"
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    downloads = tmp_path_factory.mktemp("downloads")
    profile = tmp_path_factory.mktemp("profile")
    for word in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-US", f"--user-data-dir={profile}"):
        options.add_argument(word)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    yield driver
    driver.quit()


@pytest.fixture
def backend() -> PageBackend:
    return PageBackend()


@pytest.fixture
def page(backend: PageBackend) -> Iterator[Served]:
    with served(backend, CHOSEN) as found:
        yield found


@pytest.fixture
def tab(chromium: webdriver.Chrome, page: Served) -> Iterator[Tab]:
    """The page, open at a width of 1200."""
    found = Tab(chromium)
    found.size(1200, 800)
    chromium.get(page.link)
    found.ready()
    yield found
    complaints = found.complaints()
    chromium.get("about:blank")
    assert complaints == []


@pytest.fixture
def downloads(chromium: webdriver.Chrome, tmp_path: Path) -> Path:
    chromium.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    return tmp_path
