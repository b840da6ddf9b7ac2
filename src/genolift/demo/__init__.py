"""The paper's simulation, and the demo's model trained on it.

May import `data`, `files` and `engine`, which it tells that the demo's model is to be named as a user's is.
"""
