"""The HTML reports at the widths at which KFP shows them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import FEATURES
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import evaluate_models
from skyclass.training.fitted_models import load_fitted_models
from skyclass.training.gate import check_gate
from skyclass.training.reports.exploration import read_sample, render_exploration
from skyclass.training.reports.training import render_training_report
from skyclass.training.uncertainty.assessment import assess_uncertainty
from tests.support.gate import make_champion, predict_with_errors

KFP_WIDTHS = (367, 580)
CUT_OFF = """
const scrolls = each => getComputedStyle(each).overflowX !== 'visible';
return [...document.querySelectorAll('body *')]
  .filter(each => each.getBoundingClientRect().right > innerWidth + 1
    || scrolls(each) && each.scrollWidth > each.clientWidth + 1)
  .map(each => each.tagName + ' ' + (each.textContent || '').trim().slice(0, 40));
"""


@pytest.fixture(params=KFP_WIDTHS)
def panel(request: pytest.FixtureRequest, browser: Chrome) -> Iterator[Chrome]:
    """A browser as wide as KFP's panel."""
    size = {"width": request.param, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def find_cut_off(browser: Chrome, page: str, file: Path) -> list[str]:
    """Return the elements of a page that are wider than the window, or must be scrolled."""
    file.write_text(page)
    browser.get(file.as_uri())
    found: list[str] = browser.execute_script(CUT_OFF)
    return found


def test_training_report_fits_the_panel(
    panel: Chrome, dataset: Dataset, models_folder: Path, tmp_path: Path
) -> None:
    models = load_fitted_models(models_folder)
    evaluation = evaluate_models(dataset, models)
    champion = make_champion(dataset, predict_with_errors(dataset, 0.05))
    gate = check_gate(dataset, evaluation, champion)
    uncertainty = assess_uncertainty(
        dataset.features,
        dataset.random_holdout,
        dataset.labels,
        FEATURES[dataset.mode],
        models.release,
        seed=0,
    )
    page = render_training_report(dataset, models.summary, evaluation, gate, uncertainty)
    opened = page.replace("<details>", "<details open>")
    assert find_cut_off(panel, opened, tmp_path / "report.html") == []


def test_exploration_report_fits_the_panel(
    panel: Chrome, store: ObjectStore, tmp_path: Path
) -> None:
    source = open_source("simulated:?rows=20000&era=legacy,boss,eboss&seed=0", store)
    page = render_exploration(read_sample(source))
    assert find_cut_off(panel, page, tmp_path / "exploration.html") == []
