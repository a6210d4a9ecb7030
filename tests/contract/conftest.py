"""A site for each module of contract tests."""

import pytest

from skyclass.store.embedded import Access
from tests.contract.support import Site
from tests.web import unanswered

__all__ = ["unanswered"]


@pytest.fixture(scope="module")
def site(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site.make(s3, tmp_path_factory.mktemp("home"))
