"""Runs a step as KFP's executor does, and kills it: `python -m tests.support.killed_step`."""

import os
from pkgutil import resolve_name

from kfp.dsl.executor_main import executor_main

from tests.support.processes import KillSwitch

POINT = "KILLED_STEP_POINT"
"""Environment variable with a function and its kill point, such as `module:Class.method@1`."""


def main() -> None:
    """Run the step until it is killed."""
    method, _, kill_point = os.environ[POINT].partition("@")
    owner = resolve_name(method.rpartition(".")[0])
    name = method.rpartition(".")[2]
    setattr(owner, name, KillSwitch(int(kill_point)).wrap(getattr(owner, name)))
    executor_main()


if __name__ == "__main__":
    main()
