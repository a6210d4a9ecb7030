"""Takes the screenshots of the documentation: `make pictures`."""

from base64 import b64decode
from pathlib import Path

import pytest
from astropy.table import Table
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from skyclass.sources.simulated import SimulatedSource
from tests.browser.conftest import CLASSIFY, open_table_tab, wait

PICTURES = Path(__file__).resolve().parents[2] / "docs/pictures"


@pytest.mark.parametrize(
    ("name", "path", "height"),
    [
        ("drift", "/spectroscopic/", 1167),
        ("accuracy", "/spectroscopic/accuracy", 660),
        ("release", "/releases/{champion}", 1812),
    ],
)
def test_monitor(browser: Chrome, address: str, name: str, height: int) -> None:
    PICTURES.mkdir(exist_ok=True)
    browser.set_window_size(1280, 3000)  # higher than each page, so that none has a scroll bar
    browser.get(address)
    clip = {"x": 0, "y": 0, "width": 1280, "height": height, "scale": 1}
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})["data"]
    (PICTURES / f"monitor-{name}.png").write_bytes(b64decode(picture))


def test_predictions(browser: Chrome, predictions: str) -> None:
    browser.set_window_size(1280, 1190)
    browser.get(predictions)
    wait(browser, lambda: browser.find_elements(By.XPATH, CLASSIFY))
    browser.find_element(By.XPATH, "//button[contains(., 'redshift 2.35')]").click()
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".prediction h2"))
    browser.find_element(By.XPATH, "//button[normalize-space()='Why?']").click()
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "table.contributions"))
    wait(browser, lambda: not browser.find_elements(By.CSS_SELECTOR, ".generating, .pending"))
    assert browser.save_screenshot(str(PICTURES / "predict-page.png"))


def test_table(browser: Chrome, predictions: str, tmp_path: Path) -> None:
    source = SimulatedSource.from_uri("simulated:?rows=400&era=legacy&seed=7")
    objects = Table.from_pandas(next(source.read_batches(after=0)).rows.to_pandas())
    for band in "ugriz":
        objects[band].unit = "mag"
    objects["alpha", "delta", "u", "g", "r", "i", "z", "redshift"].write(tmp_path / "objects.fits")
    browser.set_window_size(1280, 1000)
    browser.get(predictions)
    wait(browser, lambda: browser.find_elements(By.XPATH, CLASSIFY))
    open_table_tab(browser, tmp_path / "objects.fits").click()
    selector = "a[download='objects-classified.fits']"
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, selector))
    wait(browser, lambda: not browser.find_elements(By.CSS_SELECTOR, ".generating, .pending"))
    assert browser.save_screenshot(str(PICTURES / "predict-table.png"))
