"""The faults that skyclass is tested against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        title: What is injected, as a row of docs/reliability.md names it.
        operation: What is counted: the unit that is acknowledged or not.
        least_operations: Fewest operations of all its tests together. With fewer, the run fails.
        needs_cluster: Whether it is injected on a cluster.
    """

    title: str
    operation: str
    least_operations: int
    needs_cluster: bool = False


ALL = "rows, releases, verdicts"

FAULTS = {
    "store-down-at-start": Fault("the object store is down when a job or page starts", ALL, 600),
    "store-down-during-upload": Fault("the object store goes down during an upload", ALL, 1_000),
    "store-down-before-commit": Fault(
        "the object store goes down between an upload and its commit", ALL, 600
    ),
    "store-unavailable-bursts": Fault("bursts of 503 from the object store", ALL, 1_200),
    "store-slow": Fault("the object store answers after 5 seconds", ALL, 800),
    "store-truncates": Fault("the object store ends responses early", ALL, 600),
    "wrong-credentials": Fault("wrong credentials", ALL, 600),
    "bucket-missing": Fault("a bucket is missing", ALL, 600),
    "disk-full": Fault("the disk of the object store or of a job is full", ALL, 800),
    "lost-acknowledgement": Fault("acknowledgements of writes are lost", ALL, 700),
    "pipeline-killed": Fault("SIGKILL in each step of the pipelines", "rows, releases", 500),
    "score-killed": Fault("SIGKILL in a scoring job", "rows", 500),
    "drift-killed": Fault("SIGKILL in a drift job", "verdicts", 5),
    "maintain-killed": Fault("SIGKILL in a maintenance job", "rows", 500),
    "predictor-killed": Fault(
        "SIGKILL of a predictor under load, one of two replicas", "answers", 1_000, True
    ),
    "all-pods-restart": Fault(
        "all pods stop at once, as on a restart of the node", "rows", 100, True
    ),
    "two-publishers": Fault("two runs publish and promote at once", "releases", 10),
    "two-runs-of-a-job": Fault("two runs of the same job at once", "rows, verdicts", 500),
    "clock-ahead": Fault("the clock is 24 hours ahead", "rows, runs", 50),
    "clock-behind": Fault("the clock is 24 hours behind", "rows, runs", 50),
    "corrupt-model": Fault("bytes of a model are changed", "releases", 5),
    "manifest-mismatch": Fault("manifest and files of a release differ", "releases", 5),
    "empty-window": Fault("a window without a prediction", "verdicts", 2),
    "poisoned-record": Fault("one unusable record among 10,000", "rows", 10_000),
    "api-server-down": Fault(
        "the Kubernetes API server is unavailable during a promotion", "promotions", 28, True
    ),
    "step-retried": Fault(
        "Kubeflow Pipelines repeats a step that has succeeded", "rows, releases", 500
    ),
}
"""By the name that tests give to `pytest.mark.fault`."""
