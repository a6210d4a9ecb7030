"""The page of a release that waits for an approval, in Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from tests.browser.conftest import serving
from tests.browser.test_monitor import AXE, CHECK, scheme
from tests.support.approvals import publish_champion, publish_waiting

__all__ = ["scheme"]


@pytest.fixture
def address(store: ObjectStore, tmp_path: Path) -> Iterator[str]:
    """URL of the page."""
    publish_champion(store, tmp_path)
    release = publish_waiting(store, tmp_path)
    with serving(make_app(StateReader(store, LocalChampionStore(store)))) as monitor:
        yield f"{monitor}/releases/{release.id}"


def test_accessibility_rules(browser: Chrome, address: str, scheme: str) -> None:
    browser.get(address)
    browser.execute_script(AXE)
    assert browser.execute_async_script(CHECK) == []


def test_no_horizontal_scrolling_at_360_pixels(browser: Chrome, address: str) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        browser.get(address)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
