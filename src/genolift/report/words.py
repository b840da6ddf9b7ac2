"""Numbers, places and lists as people write them."""

import math
from collections.abc import Sequence

NOTHING = "\N{EN DASH}"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUS = "\N{MINUS SIGN}"
_NARROW = "\N{NARROW NO-BREAK SPACE}"


def minus(text: str) -> str:
    """Return a text with its hyphens as minus signs."""
    return text.replace("-", _MINUS)


def whole(number: float) -> str:
    """Return a whole number with a comma between thousands (``12,345``), or a dash for NaN."""
    return NOTHING if math.isnan(number) else minus(f"{int(number):,}")


def figure(number: float, digits: int = 3) -> str:
    """Return ``number`` to so many significant digits: ``0.0123``, ``12,300``, ``3.1 × 10⁻⁶``."""
    if not math.isfinite(number):
        return NOTHING if math.isnan(number) else ("∞" if number > 0 else f"{_MINUS}∞")
    if number == 0:
        return "0"
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -4 <= power < 6:
        text = f"{float(f'{number:.{digits - 1}e}'):,.{max(0, digits - 1 - power)}f}"
    else:
        text = f"{mantissa}{_NARROW}×{_NARROW}{power_of_ten(power)}"
    return minus(text)


def power_of_ten(power: int) -> str:
    """Return ``10⁻³`` for -3."""
    return f"10{str(power).translate(_SUPERSCRIPT)}"


def percent(fraction: float) -> str:
    """Return a fraction as a percentage (``3.1%``, ``under 0.01%``), or a dash for NaN."""
    if 0 < fraction < 1e-4:
        return "under 0.01%"
    return NOTHING if math.isnan(fraction) else f"{figure(100 * fraction, 2)}%"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return the number with its noun in the right number: ``1 motif``, ``2 motifs``, ``no motifs``."""
    name = noun if number == 1 else plural or f"{noun}s"
    return f"{whole(number) if number else 'no'} {name}"


def listed(names: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""


def place(chrom: str, start: float, end: float) -> str:
    """Return 0-based half-open coordinates as genome browsers read them, 1-based and inclusive.

    A single base has no end. Empty if there is no chromosome; ``start`` and ``end`` may then be missing.
    """
    if not chrom:
        return ""
    first, last = int(start) + 1, int(end)
    return f"{chrom}:{first:,}" if first == last else f"{chrom}:{first:,}-{last:,}"


def size(n_bytes: float) -> str:
    """Return a file's size: ``812 B``, ``3.4 kB``, ``12 MB`` (powers of 1000)."""
    amount = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("the last unit returns")
