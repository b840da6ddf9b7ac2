"""``python -m genolift``: the command line."""

from genolift.cli.main import main

main()
