"""The browser that tests of the report and of the list of analyses open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import Chromium, find_chromium, open_chromium
from lacking import skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        skip("no Chromium on this machine (Debian's package: chromium)", lacking="chromium")
    with open_chromium(program) as running:
        yield running
