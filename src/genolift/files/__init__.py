"""Files read and written safely: whole or not at all, checked as they are opened, and never over an input.

May import nothing of ours but the error types.
"""
