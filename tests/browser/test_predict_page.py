"""The prediction page in Chromium, with a real predictor and an unreachable one."""

import json
from pathlib import Path

import pandas as pd
import pytest
from astropy import units as u
from astropy.table import QTable
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import CLASSIFY, UNREACHABLE_URL, open_table_tab, wait
from tests.browser.test_monitor import AXE, CHECK

CHECK_BUT_METERS = CHECK.replace("[['iframe']]", "[['iframe'], ['meter']]")
"""Gradio's bars of probabilities have an attribute that meters must not have."""

MEASURE_PLACEHOLDERS = """
return [...document.querySelectorAll("textarea, input[type=text]")].map(field => {
  const style = getComputedStyle(field), canvas = document.createElement("canvas").getContext("2d");
  canvas.font = style.font;
  const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
  const text = canvas.measureText(field.placeholder).width;
  return [field.placeholder, field.clientWidth - padding - text];
});
"""
"""The placeholder of each field, and the width that is left beside it."""


@pytest.fixture
def page(browser: Chrome, predictions: str) -> Chrome:
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get(predictions)
    wait(browser, lambda: browser.find_elements(By.XPATH, CLASSIFY))
    return browser


def text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def type_magnitudes(browser: Chrome, *values: str) -> None:
    fields = browser.find_elements(By.CSS_SELECTOR, "textarea, input[type=text]")
    for field, value in zip(fields, values, strict=False):
        field.clear()
        field.send_keys(value)


def classify(browser: Chrome) -> None:
    browser.find_element(By.XPATH, CLASSIFY).click()


def test_an_object_is_classified_with_drawing_probabilities_and_release(
    page: Chrome,
) -> None:
    type_magnitudes(page, "20.232", "19.572", "19.430", "19.309", "19.070", "2.350")
    classify(page)
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".prediction svg"))
    shown = text(page)
    assert "QSO" in page.find_element(By.CSS_SELECTOR, ".prediction h2").text
    assert "by the spectroscopic model, release" in shown
    assert page.find_elements(By.CSS_SELECTOR, "svg[aria-label^='Drawing of a quasar']")
    wait(page, lambda: {"GALAXY", "QSO", "STAR"} <= set(text(page).split()))


def test_an_example_is_classified_at_a_click(page: Chrome) -> None:
    page.find_element(By.XPATH, "//button[contains(., 'a red galaxy')]").click()
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".prediction h2"))
    assert page.find_element(By.CSS_SELECTOR, ".prediction h2").text == "GALAXY"


def test_the_message_of_the_predictor_is_shown(page: Chrome) -> None:
    type_magnitudes(page, "20.2", "19.5", "19.4", "19.3", "-9999", "2.3")
    classify(page)
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".error-message[role=alert]"))
    assert "\nz was not measured (-9999)" in text(page)


def test_an_unreachable_predictor_is_reported_and_the_page_stays_usable(page: Chrome) -> None:
    type_magnitudes(page, "20.232", "19.572", "19.430", "19.309", "19.070")
    classify(page)
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".error-message[role=alert]"))
    assert f"the predictor at {UNREACHABLE_URL} is unreachable" in text(page)
    type_magnitudes(page, "20.232", "19.572", "19.430", "19.309", "19.070", "2.350")
    classify(page)
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".prediction h2"))


def test_the_contributions_to_a_prediction_are_shown(page: Chrome) -> None:
    page.find_element(By.XPATH, "//button[contains(., 'redshift 2.35')]").click()
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".prediction h2"))
    page.find_element(By.XPATH, "//button[normalize-space()='Why?']").click()
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "table.contributions"))
    table = page.find_element(By.CSS_SELECTOR, "table.contributions").text
    assert table.startswith("Why QSO? Contributions to its probability")
    assert "redshift\n2.35\n" in table


def test_a_narrow_screen_need_not_be_scrolled_sideways(page: Chrome) -> None:
    metrics = {"width": 370, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.find_element(By.XPATH, "//button[contains(., 'a red galaxy')]").click()
        wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".prediction h2"))
        page.find_element(By.XPATH, "//button[normalize-space()='Why?']").click()
        wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "table.contributions"))
        width = page.execute_script("return document.documentElement.scrollWidth")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= metrics["width"]


def test_further_measurements_and_certainty_can_be_entered(page: Chrome) -> None:
    type_magnitudes(page, "20.2", "19.5", "19.4", "19.3", "19.1", "2.3")
    page.find_element(By.XPATH, "//button[contains(., 'More measurements')]").click()
    wait(page, lambda: page.find_elements(By.XPATH, "//label[contains(., 'psf_u')]//input"))
    field = page.find_element(By.XPATH, "//label[contains(., 'psf_u')]//input")
    field.send_keys("dim")
    classify(page)
    wait(page, lambda: "psf_u is 'dim': expected a number" in text(page))
    field.send_keys(Keys.BACKSPACE * 3)
    page.find_element(By.XPATH, "//button[contains(., 'Certainty')]").click()
    wait(page, lambda: page.find_elements(By.XPATH, "//label[contains(., '95 %')]"))
    page.find_element(By.XPATH, "//label[contains(., '95 %')]").click()
    classify(page)
    wait(page, lambda: "has no label sets: train a new release, or omit coverage" in text(page))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_rules(page: Chrome, scheme: str) -> None:
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    try:
        page.find_element(By.XPATH, "//button[contains(., 'redshift 2.35')]").click()
        wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".prediction h2"))
        page.find_element(By.XPATH, "//button[normalize-space()='Why?']").click()
        wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "table.contributions"))
        for section in ("More measurements", "Certainty"):
            page.find_element(By.XPATH, f"//button[contains(., '{section}')]").click()
        wait(page, lambda: page.find_elements(By.XPATH, "//label[contains(., '95 %')]"))
        page.execute_script(AXE)
        assert page.execute_async_script(CHECK_BUT_METERS) == []
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_an_uploaded_table_is_classified_and_downloaded(page: Chrome, tmp_path: Path) -> None:
    table = tmp_path / "objects.csv"
    table.write_text("u,g,r,i,z,redshift\n" + "20.232,19.572,19.430,19.309,19.070,2.350\n" * 30)
    open_table_tab(page, table).click()
    wait(page, lambda: "30 objects classified: 30 QSO." in text(page))
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "a[download='objects-classified.csv']"))
    link = page.find_element(By.CSS_SELECTOR, "a[download='objects-classified.csv']")
    predictions = pd.read_csv(str(link.get_attribute("href")))
    assert list(predictions["predicted"]) == ["QSO"] * 30


def test_an_uploaded_fits_table_comes_back_as_fits(page: Chrome, tmp_path: Path) -> None:
    magnitudes = [20.232, 19.572, 19.430, 19.309, 19.070]
    columns = {band: [value] * 3 * u.mag for band, value in zip("ugriz", magnitudes, strict=True)}
    table = QTable({"objid": [2**60 + 1, 2, 3], **columns, "redshift": [2.35] * 3})
    table.write(tmp_path / "objects.fits")
    open_table_tab(page, tmp_path / "objects.fits").click()
    selector = "a[download='objects-classified.fits']"
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, selector))
    link = page.find_element(By.CSS_SELECTOR, selector)
    found = QTable.read(str(link.get_attribute("href")), format="fits")
    assert list(found["objid"]) == [2**60 + 1, 2, 3]
    assert found["u"].unit == u.mag
    assert list(found["predicted"]) == ["QSO"] * 3


def test_a_file_that_is_not_fits_is_reported_on_one_line(page: Chrome, tmp_path: Path) -> None:
    (tmp_path / "broken.fits").write_text("SIMPLE  = not")
    open_table_tab(page, tmp_path / "broken.fits").click()
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".error-message[role=alert]"))
    message = page.find_element(By.CSS_SELECTOR, ".error-message[role=alert]").text
    assert message.startswith("broken.fits: ")
    assert "\n" not in message


@pytest.mark.parametrize("width", [360, 370, 800, 1280])
def test_placeholders_are_not_cut_off(page: Chrome, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        rooms = page.execute_script(MEASURE_PLACEHOLDERS)
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert [name for name, *_ in rooms] == [*["mag"] * 5, "optional"]
    assert [(name, free) for name, free in rooms if free < 0] == []


def test_nothing_is_loaded_from_another_host(page: Chrome, predictions: str) -> None:
    events = [json.loads(each["message"])["message"] for each in page.get_log("performance")]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.startswith(predictions) for url in urls)
    assert [url for url in urls if not url.startswith((predictions, "data:", "blob:"))] == []
