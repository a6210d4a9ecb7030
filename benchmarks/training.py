"""The training pipeline on many rows: `python -m benchmarks.training`.

Runs the whole pipeline in KFP's local runner, from simulated rows to a release, and prints how long
each step takes and how much memory the largest of them needs.
"""

import argparse
import os
import resource
import time
from itertools import pairwise

from benchmarks.data import print_row
from benchmarks.measurement import run_s3_server
from skyclass.orchestration.local_runner import run_training

ROWS = 1_000_000


def main() -> None:
    """Run the pipeline and print the costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--candidates", default="hist_gradient_boosting,random_forest")
    given = parser.parse_args()
    started: list[tuple[str, float]] = []
    with run_s3_server() as (settings, folder):
        os.environ |= {
            "AWS_ENDPOINT_URL": settings.endpoint_url,
            "AWS_ACCESS_KEY_ID": settings.access_key_id,
            "AWS_SECRET_ACCESS_KEY": settings.secret_access_key.get_secret_value(),
            "SKYCLASS_HOME": str(folder),
        }
        parameters = {
            "source_uri": f"simulated:?rows={given.rows}",
            "newest_rows": str(given.rows),
            "candidates": given.candidates,
        }
        done = run_training(
            parameters, folder / "runs", lambda step: started.append((step, time.perf_counter()))
        )
        started.append(("", time.perf_counter()))
    print_row("step", "seconds")
    for (step, at), (_, after) in pairwise(started):
        print_row(step, f"{after - at:.0f}")
    # The S3 server is a child, too, and smaller than any step on so many rows.
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print_row("largest step", f"{largest:,.0f} MB")
    print_row("promoted", str(done.promoted))


if __name__ == "__main__":
    main()
