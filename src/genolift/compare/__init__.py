"""Methods of attribution side by side on the same sequences: agreement, time, and truth where it is known.

May import `motifs` (for its figures), `explain` and what those may.
"""
