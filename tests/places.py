"""The paths of the checkout, its tests and the data beside it, for tests in any folder."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
SHARED = ROOT.parent / "shared"
"""Real models and data, which only some machines have: see `conftest.shared`."""
