"""The rules: how much of an activation's change its argument is given, and which gets which.

A rule is one object in rules.py; a composite, in composites.py, is a named choice of rules.
"""
