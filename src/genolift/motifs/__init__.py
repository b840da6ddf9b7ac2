"""Motifs in the contributions: discovered, named after known ones, located, and drawn.

May import `results`, `data`, `settings` and `files`, never the engine.
"""
