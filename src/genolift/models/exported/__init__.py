"""Exported programs (.pt2): read without running code from the file, and written."""
