"""``python -m genolift``: the command line."""

from genolift.cli import main

main()
