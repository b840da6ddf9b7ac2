"""What a model is: what it takes and gives, its operations, and the config that would explain it.

May import `explain`, `models`, `data`, `settings` and `files`.
"""
