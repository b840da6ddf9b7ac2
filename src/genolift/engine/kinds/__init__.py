"""The kinds of operation: what each keeps of a run, and how multipliers pass back through it."""
