"""Shared fixtures of the contract tests."""

from collections.abc import Iterator

import pytest

from skyclass.local.s3_server import Access
from skyclass.survey.features import Mode
from tests.support.predictor import ServerProcess, Site, publish, serving


@pytest.fixture(scope="module")
def site(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site.make(s3, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A predictor of a tiny photometric release."""
    folder = tmp_path_factory.mktemp("release")
    release = publish(site, folder / "files", Mode.PHOTOMETRIC, seed=0)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    with serving(site, Mode.PHOTOMETRIC, address, folder / "log") as server:
        yield server
