"""Shared fixtures of the contract tests."""

import pytest

from skyclass.local.s3_server import Access
from tests.support.predictor import Site
from tests.support.web import unresponsive_url

__all__ = ["unresponsive_url"]


@pytest.fixture(scope="module")
def site(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site.make(s3, tmp_path_factory.mktemp("home"))
