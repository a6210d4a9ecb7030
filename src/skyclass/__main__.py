"""`python -m skyclass` is the command line."""

from skyclass.cli import main

main()
