"""Serve a model as the command line does.

Usage: `python -m tests.support.run_server MODE RELEASE PORT`.
"""

import os
import sys

from skyclass.errors import SkyclassError
from skyclass.logs import start_logging
from skyclass.settings import load_settings
from skyclass.survey.features import Mode


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    start_logging()
    mode, release, port = sys.argv[1:]
    from skyclass.serving.server import serve

    try:
        serve(load_settings(), Mode(mode), release or None, int(port) or None)
    except SkyclassError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
