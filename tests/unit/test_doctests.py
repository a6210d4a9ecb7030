"""The examples in docstrings run and return what they show."""

import doctest
import importlib
import pkgutil

import pytest

from skyclass import client, notifications, survey

MODULES = (
    *(module.name for module in pkgutil.iter_modules(client.__path__, "skyclass.client.")),
    *(module.name for module in pkgutil.iter_modules(survey.__path__, "skyclass.survey.")),
    *(
        module.name
        for module in pkgutil.iter_modules(notifications.__path__, "skyclass.notifications.")
    ),
)
MODULES_WITH_EXAMPLES = (
    "skyclass.client.client",
    "skyclass.client.rows",
    "skyclass.notifications.channels",
    "skyclass.notifications.event",
    "skyclass.notifications.redaction",
    "skyclass.survey.features",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_pass(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0
    assert results.attempted > 0 or name not in MODULES_WITH_EXAMPLES


def test_modules_with_examples_are_tested() -> None:
    assert set(MODULES_WITH_EXAMPLES) <= set(MODULES)
