"""The command line: parses what the user gives, prints what was done, and exits.

May import every room; importing it takes no torch, so that help is there at once.
"""
