"""Faster forms of what the rules say, which change results by rounding alone."""
