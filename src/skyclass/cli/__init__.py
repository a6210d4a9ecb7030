"""The command line: one module a group of commands, assembled in `app`."""

from skyclass.cli.app import main

__all__ = ["main"]
