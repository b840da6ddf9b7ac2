"""What an analysis has computed, in files: contributions, their tables and tracks, with what made them.

May import `references`, `data`, `settings` and `files`, never the engine.
"""
