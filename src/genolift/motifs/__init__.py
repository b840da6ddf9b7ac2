"""Motifs of the contributions: found, named by known ones, located, and drawn.

May import `results`, `data`, `settings` and `files`, never the engine.
"""
