"""The workflow's steps, one module a rule: files in, files out, a short summary returned.

May import every room but `cli`.
"""
