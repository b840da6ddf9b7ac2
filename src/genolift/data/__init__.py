"""The users' data: sequences, intervals, genomes, tracks and tables, read and stored.

May import `settings` and `files`.
"""
