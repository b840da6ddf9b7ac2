"""What users bring beside a model: sequences, intervals, genomes, tracks and tables, read and stored.

May import `settings` and `files`.
"""
