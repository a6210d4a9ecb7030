"""Chromium, the monitor page with two weeks of data, and the prediction page."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.apps.predict.explanations import make_explain
from skyclass.apps.predict.server import make_app as make_predict_app
from skyclass.client import Client
from skyclass.local.s3_server import Access
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.browser import open_browser
from tests.support.predictor import Site, publish
from tests.support.predictor import serving as serving_model

SECONDS = 180
CLASSIFY = "//button[normalize-space()='Classify']"
UNREACHABLE_URL = "http://127.0.0.1:9"


def wait(browser: Chrome, condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    WebDriverWait(browser, SECONDS).until(lambda _: condition())


def open_table_tab(page: Chrome, table: Path) -> WebElement:
    """Upload a table, and return the button that classifies it."""
    page.find_element(By.XPATH, "//button[@role='tab'][contains(., 'A table')]").click()
    button = page.find_element(By.XPATH, "//button[normalize-space()='Classify the table']")
    wait(page, button.is_displayed)

    def is_uploaded() -> bool:
        if page.find_elements(By.CSS_SELECTOR, f"a[download='{table.name}']"):
            return True
        page.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(table))
        return False

    # Gradio shows the field before it handles uploads: retry until the file is there.
    WebDriverWait(page, SECONDS, poll_frequency=10).until(lambda _: is_uploaded())
    return button


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless Chromium with an empty profile that records its log and its requests."""
    with open_browser(tmp_path_factory.mktemp("chromium")) as chrome:
        yield chrome


@pytest.fixture(scope="session")
def monitor(world: ObjectStore) -> Iterator[str]:
    """URL of the monitor page."""
    from tests.support.world import NOW

    with serving(make_app(StateReader(world, LocalChampionStore(world)), lambda: NOW)) as address:
        yield address


@pytest.fixture
def address(path: str, monitor: str, world: ObjectStore) -> str:
    """URL of the page at the test's `path`, in which `{champion}` is the champion's id."""
    champion = LocalChampionStore(world).get_champion(Mode.SPECTROSCOPIC)
    assert champion is not None
    return monitor + path.format(champion=champion.id)


@pytest.fixture(scope="session")
def predictions(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the prediction page; its photometric predictor is unreachable."""
    site = Site.make(s3, tmp_path_factory.mktemp("home"))
    mode = Mode.SPECTROSCOPIC
    release = publish(site, tmp_path_factory.mktemp("model"), mode, seed=0)
    LocalChampionStore(site.store).promote(release, "for a test", "test")
    with serving_model(site, mode, None, tmp_path_factory.mktemp("log") / "log") as predictor:
        clients = {
            mode: Client(predictor.url, mode),
            Mode.PHOTOMETRIC: Client(UNREACHABLE_URL, Mode.PHOTOMETRIC),
        }
        with serving(make_predict_app(clients, make_explain(lambda: site.registry))) as page:
            yield page
