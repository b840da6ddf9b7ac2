"""Letters, codes and one-hot: conversions in both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from genolift.data.alphabet import (
    codes_of_onehot,
    decode_letters,
    encode_letters,
    onehot_float32,
    onehot_of_codes,
)

CODES = arrays.arrays(
    np.uint8, arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=40), elements=st.integers(0, 4)
)
COLUMNS = {0: (1, 0, 0, 0), 1: (0, 1, 0, 0), 2: (0, 0, 1, 0), 3: (0, 0, 0, 1), 4: (0, 0, 0, 0)}


def test_every_byte_has_its_code() -> None:
    codes = encode_letters(bytes(range(256)))
    expected = {**{base: code for code, base in enumerate("ACGT")}, **dict.fromkeys("NRYSWKMBDHV", 4)}
    for byte in range(256):
        assert codes[byte] == expected.get(chr(byte).upper() if byte < 128 else "", 255)


def test_u_is_t_in_rna_and_no_other_letter_has_another_code() -> None:
    every = bytes(range(256))
    dna, rna = encode_letters(every), encode_letters(every, rna=True)
    assert [chr(byte) for byte in np.flatnonzero(dna != rna)] == ["U", "u"]
    assert rna[[ord("U"), ord("u")]].tolist() == [3, 3]


def test_letters_come_as_text_or_bytes_and_their_codes_can_be_changed() -> None:
    for letters in ("ACgtNé", b"ACgtN\xe9"):
        codes = encode_letters(letters)
        assert codes.tolist() == [0, 1, 2, 3, 4, 255]
        codes[5] = 0
        assert decode_letters(codes) == "ACGTNA"
    assert encode_letters("").shape == (0,)


@given(codes=CODES)
@settings(deadline=None)
def test_one_hot_has_a_column_for_each_code_and_gives_the_codes_back(codes: NDArray[np.uint8]) -> None:
    onehot = onehot_of_codes(codes)
    assert onehot.dtype == np.uint8
    assert onehot.flags.c_contiguous
    assert onehot.shape == (*codes.shape[:-1], 4, codes.shape[-1])
    for place in np.ndindex(codes.shape):
        assert tuple(onehot[*place[:-1], :, place[-1]]) == COLUMNS[int(codes[place])]
    as_float = onehot_float32(codes)
    assert as_float.dtype == np.float32
    assert np.array_equal(as_float, onehot)
    assert np.array_equal(codes_of_onehot(onehot), codes)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "float16", "float32", "float64"])
def test_codes_come_from_one_hot_of_any_number_type_and_layout(dtype: str) -> None:
    codes = np.array([[0, 1, 2, 3, 4, 0], [4, 3, 2, 1, 0, 4]], dtype=np.uint8)
    onehot: NDArray[Any] = onehot_of_codes(codes).astype(dtype)
    found = codes_of_onehot(np.ascontiguousarray(onehot.swapaxes(1, 2)).swapaxes(1, 2))
    assert found.dtype == np.uint8
    assert np.array_equal(found, codes)


@pytest.mark.parametrize(
    "column",
    [
        (0.5, 0.5, 0, 0),
        (2, 0, 0, 0),
        (1, -1, 1, 0),
        (1, 1, 0, 0),
        (-1, 0, 0, 0),
        (np.nan, 0, 0, 0),
        (1, 0, 0, 1e-7),
    ],
)
def test_a_column_that_is_neither_one_hot_nor_zero_is_refused(column: tuple[float, ...]) -> None:
    onehot = onehot_of_codes(np.zeros((2, 9), dtype=np.uint8)).astype(np.float32)
    onehot[1, :, 4] = column
    with pytest.raises(ValueError, match="not one-hot"):
        codes_of_onehot(onehot)
