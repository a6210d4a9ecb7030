"""The monitor pages in Chromium: accessibility, security policy, keyboard, small screens."""

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from tests.browser.conftest import wait

REPORT = "/spectroscopic/reports/20260502T000000Z"
PATHS = (
    "/",
    "/spectroscopic/",
    "/spectroscopic/accuracy",
    "/spectroscopic/predictions",
    "/spectroscopic/scored",
    "/spectroscopic/releases",
    "/spectroscopic/decisions",
    "/photometric/",
    REPORT,
    "/releases/{champion}",
    "/nowhere",
)
AXE = resources.files("axe_core_python").joinpath("axe.min.js").read_text()
CHECK = """
const done = arguments[0];
axe.run({exclude: [['iframe']]}, {resultTypes: ['violations']}).then(found => done(
  found.violations.map(each => each.id + ': ' + each.nodes.map(node => node.html).join(' | '))));
"""


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, browser: Chrome) -> Iterator[str]:
    """The preferred colour scheme."""
    feature = [{"name": "prefers-color-scheme", "value": request.param}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    yield request.param
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def requests(browser: Chrome) -> list[str]:
    """Return the URLs requested since the last call."""
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    sent: list[dict[str, Any]] = [
        event["params"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    return [str(each["request"]["url"]) for each in sent]


@pytest.mark.parametrize("path", PATHS)
def test_accessibility_rules(browser: Chrome, address: str, scheme: str) -> None:
    browser.get(address)
    browser.execute_script(AXE)
    assert browser.execute_async_script(CHECK) == []


@pytest.mark.parametrize("path", PATHS[:-1])
def test_pages_load_nothing_from_other_hosts(browser: Chrome, monitor: str, address: str) -> None:
    browser.get("about:blank")
    browser.get_log("browser"), requests(browser)  # discard earlier entries
    browser.get(address)
    assert [each["message"] for each in browser.get_log("browser")] == []
    urls = requests(browser)
    assert address in urls
    assert [url for url in urls if not url.startswith((monitor, "data:", "blob:"))] == []


def test_report_frame_is_sandboxed(browser: Chrome, monitor: str) -> None:
    browser.get(monitor + REPORT)
    frame = browser.find_element(By.TAG_NAME, "iframe")
    assert frame.get_attribute("sandbox") == "allow-scripts"
    browser.switch_to.frame(frame)
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "canvas, svg.main-svg"))
    assert browser.find_element(By.TAG_NAME, "h1").text == "No drift"
    script = "fetch(arguments[0]).then(() => arguments[1]('sent'), () => arguments[1]('blocked'))"
    assert browser.execute_async_script(script, f"{monitor}/metrics") == "blocked"
    browser.switch_to.default_content()


def test_keyboard_reaches_every_link(browser: Chrome, monitor: str) -> None:
    browser.get(f"{monitor}/spectroscopic/")

    def step() -> Any:
        browser.switch_to.active_element.send_keys(Keys.TAB)
        return browser.switch_to.active_element

    skip = step()
    assert skip.text == "Skip to content"
    assert skip.rect["x"] >= 0  # visible when focused
    reached = [skip.get_attribute("href")]
    for _ in range(60):
        element = step()
        if element.tag_name == "body":
            break
        outline = element.value_of_css_property("outline-width")
        assert outline == "3px", element.get_attribute("outerHTML")
        reached.append(element.get_attribute("href") or element.tag_name)
    links = {
        each.get_attribute("href") for each in browser.find_elements(By.CSS_SELECTOR, "a[href]")
    }
    assert links <= set(reached)
    assert "summary" in reached


def test_skip_link_moves_the_focus_to_the_content(browser: Chrome, monitor: str) -> None:
    browser.get(f"{monitor}/spectroscopic/")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "content"


def test_landmarks_and_charts_have_accessible_names(browser: Chrome, monitor: str) -> None:
    browser.get(f"{monitor}/spectroscopic/")
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nodes = [
        (each["role"]["value"], each.get("name", {}).get("value", ""))
        for each in tree
        if not each["ignored"]
    ]
    landmarks = {role for role, _ in nodes}
    assert {"banner", "navigation", "main", "contentinfo"} <= landmarks
    images = [name for role, name in nodes if role in ("image", "img")]
    assert len(images) == 13  # eleven columns and two bars of class shares
    assert all("distance from the reference" in name or "%" in name for name in images)
    headings = [name for role, name in nodes if role == "heading"]
    assert headings[0] == "No drift"
    here = browser.find_element(By.CSS_SELECTOR, "nav.tabs [aria-current=page]")
    assert here.text == "Drift"


@pytest.mark.parametrize("path", PATHS)
def test_no_horizontal_scrolling_at_360_pixels(browser: Chrome, address: str) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        browser.get(address)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_paging_of_predictions(browser: Chrome, monitor: str) -> None:
    browser.get(f"{monitor}/spectroscopic/predictions")
    first = browser.find_element(By.CSS_SELECTOR, "tbody th").text
    browser.find_element(By.LINK_TEXT, "Older").click()
    assert browser.find_element(By.CSS_SELECTOR, "tbody th").text < first
    browser.find_element(By.LINK_TEXT, "Newest").click()
    assert browser.find_element(By.CSS_SELECTOR, "tbody th").text == first
