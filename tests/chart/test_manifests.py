"""manifests/ is what the chart renders, and nothing else."""

import pytest
import yaml

from charts.render import MANIFESTS, OVERLAYS, render, rendered_files


def test_the_files_are_what_make_manifests_writes() -> None:
    found = {path: (MANIFESTS / path).read_text() for path in rendered_files()}
    assert found == rendered_files(), "the chart has changed: run `make manifests`"


@pytest.mark.parametrize("name", OVERLAYS)
def test_base_and_overlay_together_are_the_chart(name: str) -> None:
    overlay = MANIFESTS / "overlays" / name
    files = (MANIFESTS / "base/chart.yaml", overlay / "chart.yaml")
    parts = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    chart = render("--skip-tests", "-f", str(overlay / "values.yaml"))

    def names(objects: list[dict]) -> list[tuple[str, str]]:
        return sorted((each["kind"], each["metadata"]["name"]) for each in objects)

    assert names(parts) == names(chart)
