"""The paper's simulation, and the demo's model trained on it.

May import `data` and `files`.
"""
