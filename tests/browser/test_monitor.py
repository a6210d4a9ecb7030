"""The monitor page in Chromium: to look at, by keyboard, read aloud, on a phone, in the dark."""

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

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
    """The colours that the visitor prefers."""
    wish = [{"name": "prefers-color-scheme", "value": request.param}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})
    yield request.param
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def requests(browser: Chrome) -> list[str]:
    """What the browser has asked the network for since it was last asked."""
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    sent: list[dict[str, Any]] = [
        event["params"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    return [str(each["request"]["url"]) for each in sent]


@pytest.mark.parametrize("path", PATHS)
def test_no_rule_of_accessibility_is_broken(
    browser: Chrome, monitor: str, scheme: str, path: str
) -> None:
    browser.get(monitor + path)
    browser.execute_script(AXE)
    assert browser.execute_async_script(CHECK) == []


@pytest.mark.parametrize("path", PATHS[:-1])
def test_nothing_is_refused_by_the_policy_and_nothing_comes_from_elsewhere(
    browser: Chrome, monitor: str, path: str
) -> None:
    browser.get("about:blank")
    browser.get_log("browser"), requests(browser)  # what came before
    browser.get(monitor + path)
    assert [each["message"] for each in browser.get_log("browser")] == []
    asked = requests(browser)
    assert monitor + path in asked
    assert [url for url in asked if not url.startswith((monitor, "data:", "blob:"))] == []


def test_the_report_is_drawn_in_its_frame_and_can_reach_nothing(
    browser: Chrome, monitor: str
) -> None:
    browser.get(monitor + REPORT)
    frame = browser.find_element(By.TAG_NAME, "iframe")
    assert frame.get_attribute("sandbox") == "allow-scripts"
    browser.switch_to.frame(frame)
    WebDriverWait(browser, 20).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "canvas, svg.main-svg")
    )
    assert browser.find_element(By.TAG_NAME, "h1").text == "No drift"
    tried = "fetch(arguments[0]).then(() => arguments[1]('reached'), () => arguments[1]('refused'))"
    assert browser.execute_async_script(tried, f"{monitor}/metrics") == "refused"
    browser.switch_to.default_content()


def test_the_keyboard_alone_reaches_everything(browser: Chrome, monitor: str) -> None:
    browser.get(f"{monitor}/spectroscopic/")

    def step() -> Any:
        browser.switch_to.active_element.send_keys(Keys.TAB)
        return browser.switch_to.active_element

    skip = step()
    assert skip.text == "Skip to the content"
    assert skip.rect["x"] >= 0  # it shows itself when it is reached
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


def test_the_skip_link_leads_past_the_navigation(browser: Chrome, monitor: str) -> None:
    browser.get(f"{monitor}/spectroscopic/")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "content"


def test_a_screen_reader_is_told_where_it_is_and_what_the_charts_show(
    browser: Chrome, monitor: str
) -> None:
    browser.get(f"{monitor}/spectroscopic/")
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    said = [
        (each["role"]["value"], each.get("name", {}).get("value", ""))
        for each in tree
        if not each["ignored"]
    ]
    landmarks = {role for role, _ in said}
    assert {"banner", "navigation", "main", "contentinfo"} <= landmarks
    images = [name for role, name in said if role in ("image", "img")]
    assert len(images) == 13  # eleven columns and two bars of class shares
    assert all("distance from the reference" in name or "%" in name for name in images)
    headings = [name for role, name in said if role == "heading"]
    assert headings[0] == "No drift"
    here = browser.find_element(By.CSS_SELECTOR, "nav.tabs [aria-current=page]")
    assert here.text == "Drift"


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_shows_it_without_scrolling_sideways(
    browser: Chrome, monitor: str, path: str
) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        browser.get(monitor + path)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_pages_of_predictions_are_turned(browser: Chrome, monitor: str) -> None:
    browser.get(f"{monitor}/spectroscopic/predictions")
    first = browser.find_element(By.CSS_SELECTOR, "tbody th").text
    browser.find_element(By.LINK_TEXT, "Older").click()
    assert browser.find_element(By.CSS_SELECTOR, "tbody th").text < first
    browser.find_element(By.LINK_TEXT, "Newest").click()
    assert browser.find_element(By.CSS_SELECTOR, "tbody th").text == first
