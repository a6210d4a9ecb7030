"""Links to the pages of runs."""

import pytest

from skyclass.monitoring.runs import make_run_link

RUN_ID = "2f5d8f5e-6a0e-4c1f-9d3a-0f6a3f1c2b7d"


@pytest.mark.parametrize(
    ("run_id", "url", "link"),
    [
        (RUN_ID, "https://kfp/", f"https://kfp/#/runs/details/{RUN_ID}"),
        (RUN_ID, "", None),
        ("bootstrap-photometric", "https://kfp/", None),
    ],
)
def test_only_runs_of_a_known_kfp_have_a_page(run_id: str, url: str, link: str | None) -> None:
    assert make_run_link(run_id, url) == link
