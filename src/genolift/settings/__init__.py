"""The config: every key once, checked in our own words.

May import `files`.
"""
