"""The report: an analysis folder as one page that opens offline.

May import `motifs`, `results`, `settings` and `files`, and the words of `inspection`; never the engine.
"""
