"""Headless Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

WIDTH, HEIGHT = 1280, 900


@contextmanager
def open_browser(profile: Path, *arguments: str) -> Iterator[Chrome]:
    """Run a browser that records its log and its requests.

    Args:
        profile: An empty folder.
        arguments: Further arguments of Chromium.
    """
    driver, program = shutil.which("chromedriver"), shutil.which("chromium")
    if not driver or not program:
        pytest.fail("chromium or chromedriver is missing: install them with `make browser`")
    options = ChromeOptions()
    options.binary_location = program
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
        *(f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}", *arguments),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options, ChromeService(driver))
    try:
        chrome.set_script_timeout(180)  # seconds, as much as any other wait
        yield chrome
    finally:
        chrome.quit()
