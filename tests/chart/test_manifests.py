"""The committed manifests and the chart's README are up to date."""

from typing import Any

import pytest
import yaml

from charts.render import MANIFESTS, OVERLAYS, render, render_files


def test_generated_files_are_up_to_date() -> None:
    for path, text in render_files().items():
        assert path.read_text() == text, f"{path} is out of date: run `make manifests`"


@pytest.mark.parametrize("name", OVERLAYS)
def test_base_and_overlay_together_contain_every_object_of_the_chart(name: str) -> None:
    overlay = MANIFESTS / "overlays" / name
    files = (MANIFESTS / "base/chart.yaml", overlay / "chart.yaml")
    parts = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    chart = render("--skip-tests", "-f", str(overlay / "values.yaml"))

    def list_names(objects: list[dict[str, Any]]) -> list[tuple[str, str]]:
        return sorted((each["kind"], each["metadata"]["name"]) for each in objects)

    assert list_names(parts) == list_names(chart)
