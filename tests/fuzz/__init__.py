"""Damaged and odd files for every reader: each is refused in one line, or read as another reader reads it.

``make fuzz`` runs ten thousand cases, ``.ci/run`` a few hundred; see ``python -m fuzz --help``.
"""
