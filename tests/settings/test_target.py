"""What a config may give as target."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from refusals import refused_by

from genolift.settings.mistakes import checked
from genolift.settings.sections import Settings


def target(written: str) -> Any:
    return checked(Settings, {"target": yaml.safe_load(written)}, "analyses.a").target


@pytest.mark.parametrize(
    "written", ["3", "GATA1", '"3"', '"[3, sum(:)]"', "atac.128[1]", "'GATA1 rep-2'", "head[0] - head[1]"]
)
def test_a_number_or_text_is_a_target(written: str) -> None:
    assert target(written) == yaml.safe_load(written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "[3, sum(:)]",
            'is a list; put a place in an output in quotes, "[3, sum(:)]"; several targets are the key',
        ),
        ("[0, 2]", 'is a list; put a place in an output in quotes, "[0, 2]"; several targets are the key'),
        ("1.5", '1.5 is a number with a point; put a name or path in quotes, "1.5"'),
        ("yes", 'true is true or false; put a name or path in quotes, "true"'),
        ("{a: 1}", "is keys with values; give a whole number from 0 to 10,000,000 or text"),
        ("-1", "-1 is less than 0"),
        ('""', "is empty text"),
    ],
)
def test_what_yaml_makes_of_text_without_quotes_is_told(written: str, said: str) -> None:
    refused = refused_by(lambda: target(written))
    assert refused.startswith("analyses.a.target: ")
    assert said in refused
