"""The results of an analysis in files: contributions, their tables and tracks, and their provenance.

May import `references`, `data`, `settings` and `files`, never the engine.
"""
