"""References: what the shuffles keep and how uniform they are; the makers; references.h5."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from run_steps import make_references, source_of
from scipy.stats import chisquare

from genolift import __version__
from genolift.data.alphabet import decode_letters, encode_letters, onehot_of_codes
from genolift.errors import InputError
from genolift.files.hdf5 import as_text
from genolift.references import (
    Reference,
    base_frequencies,
    dinucleotide_shuffle,
    shuffle,
    uniform_shuffle,
    zeros,
)
from genolift.references import store as reference_store
from genolift.references.shuffle import KINDS, shuffle_codes
from genolift.references.store import open_references
from genolift.steps.encode import encode
from genolift.steps.reference import ReferenceSummary

KEYS = (0, 2, 3, 7, 9)
LETTERS = st.text("ACGTN", min_size=1, max_size=60)


def letters_of(shuffles: NDArray[np.uint8]) -> list[str]:
    """The letters of each of (sequence, reference, position) codes, sequence after sequence."""
    return [decode_letters(row) for row in shuffles.reshape(-1, shuffles.shape[-1])]


def shuffles_of(letters: str, r: int, seed: int = 0, kind: str = "dinucleotide_shuffle") -> list[str]:
    return letters_of(shuffle_codes(encode_letters(letters)[None], r, seed, kind))


def stretches(letters: str) -> list[str]:
    return [stretch for stretch in letters.split("N") if stretch]


def dinucleotides(letters: str) -> Counter[str]:
    return Counter(a + b for a, b in pairwise(letters))


def with_same_dinucleotides(letters: str) -> list[str]:
    """All sequences with the dinucleotide counts and end bases of ``letters``, by enumeration."""
    left = dinucleotides(letters)

    def ways(so_far: str) -> Iterator[str]:
        if len(so_far) == len(letters):
            yield so_far
        for base in "ACGT":
            if left[so_far[-1] + base] > 0:
                left[so_far[-1] + base] -= 1
                yield from ways(so_far + base)
                left[so_far[-1] + base] += 1

    return [way for way in ways(letters[0]) if way[-1] == letters[-1]]


# What the shuffles keep


@given(letters=LETTERS, seed=st.integers(0, 2**63 - 1))
@settings(max_examples=200, deadline=None)
def test_dinucleotide_shuffle_keeps_dinucleotides_and_ends_of_every_stretch_and_n_in_place(
    letters: str, seed: int
) -> None:
    for shuffled in shuffles_of(letters, r=4, seed=seed):
        assert [base == "N" for base in shuffled] == [base == "N" for base in letters]
        for before, after in zip(stretches(letters), stretches(shuffled), strict=True):
            assert dinucleotides(after) == dinucleotides(before)
            assert (after[0], after[-1]) == (before[0], before[-1])


@given(letters=LETTERS, seed=st.integers(0, 2**63 - 1))
@settings(max_examples=200, deadline=None)
def test_uniform_shuffle_keeps_bases_of_every_stretch_and_n_in_place(letters: str, seed: int) -> None:
    for shuffled in shuffles_of(letters, r=4, seed=seed, kind="uniform_shuffle"):
        assert [base == "N" for base in shuffled] == [base == "N" for base in letters]
        for before, after in zip(stretches(letters), stretches(shuffled), strict=True):
            assert Counter(after) == Counter(before)


@pytest.mark.parametrize("letters", ["A", "N", "AC", "TT", "NN", "AAAAAAAA", "NANCNGN", "ACGT", "NNACGNNN"])
@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_dinucleotide_shuffle_of_a_sequence_that_has_only_itself_is_itself(letters: str, seed: int) -> None:
    assert shuffles_of(letters, r=3, seed=seed) == [letters] * 3


def test_shuffles_of_a_long_sequence_are_all_different_and_unlike_it() -> None:
    codes = np.random.default_rng(0).integers(0, 4, size=(2, 500)).astype(np.uint8)
    for kind in KINDS:
        shuffled = shuffle_codes(codes, 20, 0, kind)
        assert len(set(letters_of(shuffled))) == 40
        assert (shuffled == codes[:, None]).mean() < 0.35


# What a shuffle depends on


@given(
    rows=st.integers(1, 40).flatmap(
        lambda length: st.lists(st.text("ACGTN", min_size=length, max_size=length), min_size=1, max_size=6)
    ),
    r=st.integers(1, 6),
    seed=st.integers(0, 2**63 - 1),
    kind=st.sampled_from(KINDS),
    data=st.data(),
)
@settings(max_examples=100, deadline=None)
def test_a_shuffle_does_not_depend_on_the_other_sequences_their_order_or_the_number_asked_for(
    rows: list[str], r: int, seed: int, kind: str, data: st.DataObject
) -> None:
    codes = np.stack([encode_letters(row) for row in rows])
    order = data.draw(st.permutations(range(len(rows))))
    together = shuffle_codes(codes, r, seed, kind)
    assert np.array_equal(shuffle_codes(codes[order], r, seed, kind), together[order])
    assert np.array_equal(shuffle_codes(codes, r + 5, seed, kind)[:, :r], together)
    for row in range(len(rows)):
        assert np.array_equal(shuffle_codes(codes[row : row + 1], r, seed, kind), together[row : row + 1])


def test_shuffles_made_in_threads_are_those_made_in_turn() -> None:
    codes = np.random.default_rng(1).integers(0, 5, size=(40, 300)).astype(np.uint8)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda row: shuffle_codes(codes[row : row + 1], 10, 7), range(40)))
    assert np.array_equal(np.concatenate(parts), shuffle_codes(codes, 10, 7))


FEW_AND_MANY = """
import numpy as np, sys
from genolift.references import shuffle
codes = np.random.default_rng(1).integers(0, 5, size=(9, 300)).astype(np.uint8)
few = [shuffle.shuffle_codes(codes, 6, 7, kind) for kind in shuffle.KINDS]
assert "numba" not in sys.modules
shuffle._FEW = 0
many = [shuffle.shuffle_codes(codes, 6, 7, kind) for kind in shuffle.KINDS]
assert "numba" in sys.modules
print(*map(np.array_equal, few, many))
"""


def test_few_shuffles_are_those_of_compiled_code_without_compiling_it() -> None:
    program = [sys.executable, "-W", "error", "-c", FEW_AND_MANY]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_another_seed_kind_sequence_or_number_gives_another_shuffle() -> None:
    codes = np.random.default_rng(2).integers(0, 4, size=(1, 200)).astype(np.uint8)
    first = shuffle_codes(codes, 2, 0)
    assert not np.array_equal(first[:, 0], first[:, 1])
    assert not np.array_equal(first, shuffle_codes(codes, 2, 1))
    assert not np.array_equal(shuffle_codes(codes, 1, 0, "uniform_shuffle"), first[:, :1])


def test_shuffles_are_the_same_in_every_version_and_on_every_machine() -> None:
    assert shuffles_of("GCTCCAATCATGC", r=3) == PINNED["dinucleotide_shuffle"]
    assert shuffles_of("GCTCCNAATCATGC", r=3, seed=5, kind="uniform_shuffle") == PINNED["uniform_shuffle"]


PINNED: dict[str, list[str]] = {
    "dinucleotide_shuffle": ["GCCTGCATCAATC", "GCATGCAATCTCC", "GCATCAATCCTGC"],
    "uniform_shuffle": ["CCGCTNTCGATCAA", "CTGCCNATCAGTAC", "TCCCGNGACTCATA"],
}


def test_random_numbers_are_those_of_the_published_generator() -> None:
    # The first numbers of SplitMix64 from 1234567, by its authors' C code.
    shuffle._compile()
    numbers = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    state = np.array([1234567], dtype=np.uint64)
    assert [int(shuffle._next(state)) for _ in numbers] == [number >> 32 for number in numbers]
    state[0] = 1234567
    words = np.empty(8, dtype=np.uint32)
    shuffle._fill(words, state)
    assert words.tolist() == [number % 2**32 for number in numbers] + [number >> 32 for number in numbers]
    assert int(shuffle._next(state)) == 16408922859458223821 >> 32


@pytest.mark.parametrize("bound", [1, 2, 3, 5, 2**31 + 1, 2**32 - 1])
def test_bounded_numbers_take_as_many_of_the_words_for_each_number(bound: int) -> None:
    """Word w gives w * bound // 2**32, except for remainders too low for a uniform result."""
    shuffle._compile()
    refused = 2**32 % bound
    words = [0, 1, 2**31, 2**32 - 1, *(-(-(2**32 * number) // bound) for number in range(1, min(bound, 5)))]
    for word in words:
        state = np.array([7], dtype=np.uint64)
        drawn = int(shuffle._below(np.uint64(bound), np.uint32(word), state))
        kept = word * bound % 2**32 >= refused
        assert kept == (int(state[0]) == 7)
        assert drawn == word * bound // 2**32 if kept else drawn < bound


# How uniform shuffles are


@given(st.text("ACGT", min_size=3, max_size=9), st.sampled_from([3, 4, 5, 8, 11]), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_dinucleotide_shuffle_is_uniform_whatever_the_sequence_and_the_number_made_at_once(
    letters: str, r: int, seed: int
) -> None:
    every = with_same_dinucleotides(letters)
    times = -(-100 * len(every) // r)
    drawn = Counter(way for i in range(times) for way in shuffles_of(letters, r=r, seed=1000 * seed + i))
    assert set(drawn) == set(every)
    # The chance that any of the 25 examples fails by accident is 25 in a million.
    assert len(every) == 1 or chisquare([drawn[way] for way in every]).pvalue > 1e-6


@pytest.mark.parametrize(
    ("letters", "number"),
    [
        ("GCTCCAATCATGC", 72),
        ("TAACTGGAGCCCT", 72),
        ("AACCGAGCA", 36),
        ("TCTTTTGTAT", 120),
        ("GTTAAAAAGGGAG", 60),
        ("AATCTACTT", 24),
    ],
)
def test_dinucleotide_shuffle_is_uniform_over_all_sequences_that_keep_what_it_keeps(
    letters: str, number: int
) -> None:
    every = with_same_dinucleotides(letters)
    assert len(every) == len(set(every)) == number
    drawn = Counter(shuffles_of(letters, r=500 * number, seed=11))
    assert set(drawn) == set(every)
    assert chisquare([drawn[way] for way in every]).pvalue > 1e-3


def test_dinucleotide_shuffles_of_one_number_are_uniform_over_seeds() -> None:
    letters = "AATCTACTT"
    every = with_same_dinucleotides(letters)
    drawn = Counter(shuffles_of(letters, r=1, seed=seed)[0] for seed in range(200 * len(every)))
    assert chisquare([drawn[way] for way in every]).pvalue > 1e-3


def test_first_and_second_shuffle_are_independent() -> None:
    every = with_same_dinucleotides("GACTAGC")
    drawn = Counter(tuple(shuffles_of("GACTAGC", r=2, seed=seed)) for seed in range(4000))
    assert len(every) > 2
    assert chisquare([drawn[first, second] for first in every for second in every]).pvalue > 1e-3


def test_stretches_are_shuffled_independently_of_each_other() -> None:
    every = with_same_dinucleotides("GACTAGC")
    drawn = Counter(shuffles_of("GACTAGCNGACTAGC", r=4000))
    counts = [drawn[f"{left}N{right}"] for left in every for right in every]
    assert sum(counts) == 4000
    assert chisquare(counts).pvalue > 1e-3


def test_uniform_shuffle_is_uniform_over_all_orders() -> None:
    every = sorted({"".join(way) for way in permutations("AACGT")})
    drawn = Counter(shuffles_of("AACGT", r=300 * len(every), seed=3, kind="uniform_shuffle"))
    assert set(drawn) == set(every)
    assert len(every) == 60
    assert chisquare([drawn[way] for way in every]).pvalue > 1e-3


# Bad input to the shuffles


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "dinuc"}, "no such shuffle: 'dinuc'; choose one of dinucleotide_shuffle, uniform_shuffle"),
        ({"r": 0}, "the number of references is 0; give a whole number from 1 to 1,000,000"),
        ({"r": 10**12}, "the number of references is 1000000000000; give a whole number from 1 to 1,000,000"),
        ({"r": 1e23}, "the number of references is 1e+23"),
        ({"r": 2.5}, "the number of references is 2.5"),
        ({"seed": -1}, "the references' seed is -1; give a whole number from 0 to"),
        ({"seed": 2**63}, "the references' seed is 9223372036854775808"),
        ({"codes": np.zeros((2, 3), dtype=np.int64)}, "codes to shuffle are int64 of shape (2, 3)"),
        ({"codes": np.full((2, 3), 255, dtype=np.uint8)}, "0-3 for A C G T and 4 for N"),
    ],
)
def test_shuffle_codes_refuses_what_it_cannot_shuffle(arguments: dict[str, Any], message: str) -> None:
    codes = arguments.pop("codes", np.zeros((2, 3), dtype=np.uint8))
    with pytest.raises(InputError) as caught:
        shuffle_codes(codes, **arguments)
    assert message in str(caught.value)


def test_shuffles_work_where_no_cache_folder_can_be_written(tmp_path: Path) -> None:
    shutil.copy(shuffle.__file__, tmp_path / "copied_shuffle.py")
    for folder in ("__pycache__", "home"):  # a file where numba wants a folder stops even root
        (tmp_path / folder).touch()
    blocked = str(tmp_path / "home" / "cache")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": blocked, "XDG_CACHE_HOME": blocked}
    environment = {**environment, "NUMBA_CACHE_DIR": blocked, "PYTHONDONTWRITEBYTECODE": "1"}
    program = "import copied_shuffle as s, numpy; s._compile()\n"
    program += "print(s._mix(numpy.uint64(1)), s._mix.stats.cache_path)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    shuffle._compile()
    assert done.stdout.split() == [str(int(shuffle._mix(np.uint64(1)))), "None"]


# The makers


@pytest.fixture
def codes() -> NDArray[np.uint8]:
    """Five sequences of 60, with some N."""
    codes = np.random.default_rng(4).integers(0, 4, size=(5, 60)).astype(np.uint8)
    codes[1, 20:25] = 4
    codes[3, :2] = 4
    return codes


@pytest.mark.parametrize("make", [dinucleotide_shuffle, uniform_shuffle])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int64", "uint8"])
def test_shuffle_makers_take_arrays_of_any_number_type_and_give_one_hot(
    make: Any, dtype: str, codes: NDArray[np.uint8]
) -> None:
    onehot = onehot_of_codes(codes).astype(dtype)
    made = make(onehot, 3, 9)
    assert made.dtype == np.float32
    assert made.shape == (5, 3, 4, 60)
    assert np.array_equal(made, onehot_of_codes(shuffle_codes(codes, 3, 9, make.__name__)))
    assert np.array_equal(make(r=3, seed=9)(onehot), made)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int8, torch.bool])
def test_makers_give_tensors_for_tensors(dtype: torch.dtype, codes: NDArray[np.uint8]) -> None:
    array = onehot_of_codes(codes)
    onehot = torch.from_numpy(array).to(dtype)
    for make in (dinucleotide_shuffle, uniform_shuffle, zeros, base_frequencies):
        made = make(onehot)
        assert isinstance(made, torch.Tensor)
        assert made.dtype == torch.float32
        assert np.array_equal(made.numpy(), make(array))


def test_a_tensor_that_needs_gradients_can_be_shuffled(codes: NDArray[np.uint8]) -> None:
    onehot = torch.from_numpy(onehot_of_codes(codes)).float().requires_grad_()
    assert not dinucleotide_shuffle(onehot, r=2).requires_grad


def test_makers_say_what_they_make() -> None:
    assert dinucleotide_shuffle() == Reference("dinucleotide_shuffle", 20, 0, shared=False)
    assert uniform_shuffle(r=3, seed=8) == Reference("uniform_shuffle", 3, 8, shared=False)
    assert zeros() == Reference("zeros", 1, 0, shared=True)
    assert base_frequencies() == Reference("base_frequencies", 1, 0, shared=True)
    assert base_frequencies(frequencies=[0.3, 0.2, 0.2, 0.3]).frequencies == (0.3, 0.2, 0.2, 0.3)
    assert base_frequencies([0.3, 0.2, 0.2, 0.3]) == base_frequencies(frequencies=(0.3, 0.2, 0.2, 0.3))


def test_zeros_are_one_shared_reference_of_zeros(codes: NDArray[np.uint8]) -> None:
    made = zeros(onehot_of_codes(codes))
    assert made.shape == (1, 4, 60)
    assert made.dtype == np.float32
    assert not made.any()


def test_base_frequencies_are_by_default_those_of_the_whole_set_without_n(codes: NDArray[np.uint8]) -> None:
    made = base_frequencies(onehot_of_codes(codes))
    expected = [(codes == base).sum() / (codes < 4).sum() for base in range(4)]
    assert made.shape == (1, 4, 60)
    np.testing.assert_allclose(
        made, np.broadcast_to(np.array(expected)[None, :, None], (1, 4, 60)), rtol=1e-6
    )


def test_given_base_frequencies_stand_at_every_position(codes: NDArray[np.uint8]) -> None:
    made = base_frequencies(onehot_of_codes(codes), [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(made[0, :, [0, 59]], [[0.1, 0.2, 0.3, 0.4]] * 2, rtol=1e-6)


@pytest.mark.parametrize(
    "frequencies",
    [[0.5, 0.5], [0.5, 0.5, 0.5, -0.5], [0.3, 0.3, 0.3, 0.3], [0.25] * 3 + [float("nan")], "ACGT", 1],
)
def test_base_frequencies_that_are_no_frequencies_are_refused(frequencies: Any) -> None:
    with pytest.raises(InputError, match=r"base frequencies are .*give 4 numbers of 0 or more"):
        base_frequencies(frequencies=frequencies)


def test_base_frequencies_of_n_alone_are_refused() -> None:
    with pytest.raises(InputError, match="no A, C, G or T to take base frequencies from"):
        base_frequencies(np.zeros((2, 4, 5)))


@pytest.mark.parametrize("make", [dinucleotide_shuffle, uniform_shuffle, base_frequencies])
@pytest.mark.parametrize("wrong", [0.5, 2.0, float("nan")])
def test_what_is_not_one_hot_is_refused(make: Any, wrong: float, codes: NDArray[np.uint8]) -> None:
    onehot = onehot_of_codes(codes).astype(np.float32)
    onehot[2, :, 7] = (wrong, 0, 0, 0)
    with pytest.raises(InputError, match=f"{make.__name__} needs one-hot sequences"):
        make(onehot)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((4, 60), r"give x\[None\] for one sequence x, \(1, 4, length\)"),
        ((2, 60, 4), r"give \(n, 4, length\)"),
        ((1, 2, 4, 60), r"give \(n, 4, length\)"),
    ],
)
def test_arrays_of_another_shape_are_refused_with_the_shape_to_give(
    shape: tuple[int, ...], advice: str
) -> None:
    with pytest.raises(InputError, match=rf"have the shape .*{advice}"):
        zeros(np.zeros(shape))


def test_a_number_where_the_sequences_go_is_refused() -> None:
    with pytest.raises(InputError, match=r"are a int; .*r=, seed= by name"):
        dinucleotide_shuffle(20)  # type: ignore[call-overload]


# references.h5


@pytest.fixture
def sequences(tmp_path: Path, codes: NDArray[np.uint8]) -> Path:
    """The sequences.h5 that the encode step writes; dropped empty records leave gaps in its keys."""
    rows = dict(zip(KEYS, codes, strict=True))
    fasta = tmp_path / "sequences.fa"
    records = [
        f">s{key}\n{decode_letters(rows[key]) if key in rows else ''}\n" for key in range(KEYS[-1] + 1)
    ]
    fasta.write_text("".join(records))
    path = tmp_path / "sequences.h5"
    encode(source_of(fasta=fasta, max_n_fraction=1), table=tmp_path / "sequences.tsv", store=path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_written_shuffles_are_read_back_in_any_slices(
    kind: str, tmp_path: Path, sequences: Path, codes: NDArray[np.uint8]
) -> None:
    out = tmp_path / "references.h5"
    summary = make_references(sequences, out, kind, number=6, seed=3)
    assert summary == ReferenceSummary(kind, 6, 3, False, 5, 60)
    expected = onehot_of_codes(shuffle_codes(codes, 6, 3, kind))
    with open_references(out) as opened:
        assert (opened.kind, opened.number, opened.seed, opened.shared) == (kind, 6, 3, False)
        assert (opened.key[:].tolist(), opened.length) == (list(KEYS), 60)
        assert opened.provenance["genolift"] == __version__
        assert opened.provenance["reference"]["seed"] == 3
        assert opened.onehot(0, 5).dtype == np.float32
        assert np.array_equal(opened.onehot(0, 5), expected)
        assert np.array_equal(opened.onehot(1, 4), expected[1:4])
        assert opened.onehot(2, 2).shape == (0, 6, 4, 60)
        with pytest.raises(IndexError):
            opened.onehot(3, 6)
        with pytest.raises(TypeError, match="use onehot"):
            opened.shared_onehot()


def test_references_file_has_the_documented_layout(tmp_path: Path, sequences: Path) -> None:
    make_references(sequences, tmp_path / "own.h5", "dinucleotide_shuffle", number=2)
    make_references(sequences, tmp_path / "shared.h5", "zeros")
    for name, dataset, dtype, shape in (
        ("own.h5", "codes", np.uint8, (5, 2, 60)),
        ("shared.h5", "shared", np.float32, (1, 4, 60)),
    ):
        with h5py.File(tmp_path / name) as file:
            assert set(file) == {"key", "sequence_digest", "reference_digest", dataset}
            assert set(file.attrs) == {"format", "version", "kind", "number", "seed", "provenance", "digest"}
            assert (as_text(file.attrs["format"]), file.attrs["version"]) == ("genolift-references", 1)
            assert (file[dataset].dtype, file[dataset].shape) == (dtype, shape)
            assert file[dataset].compression == "gzip"
            assert file["key"].dtype == np.int64
            json.loads(file.attrs["provenance"])


def test_what_is_written_does_not_depend_on_the_size_of_blocks(
    tmp_path: Path, sequences: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(name: str) -> NDArray[np.float32]:
        make_references(sequences, tmp_path / name, "dinucleotide_shuffle", number=4)
        with open_references(tmp_path / name) as opened:
            return opened.onehot(0, 5)

    whole = written("whole.h5")
    monkeypatch.setattr(reference_store, "_CHUNK_BYTES", 2 * 4 * 60)
    assert np.array_equal(written("blocks.h5"), whole)


def test_base_frequencies_are_written_as_given_or_counted(
    tmp_path: Path, sequences: Path, codes: NDArray[np.uint8]
) -> None:
    out = tmp_path / "references.h5"
    for given_frequencies in (None, [0.1, 0.2, 0.3, 0.4]):
        make_references(sequences, out, "base_frequencies", number=20, frequencies=given_frequencies)
        with open_references(out) as opened:
            assert (opened.shared, opened.number, opened.length) == (True, 1, 60)
            expected = base_frequencies(onehot_of_codes(codes), given_frequencies)
            assert np.array_equal(opened.shared_onehot(), expected)
            assert opened.provenance["reference"]["frequencies"] == expected[0, :, 0].tolist()
            with pytest.raises(TypeError, match="use shared_onehot"):
                opened.onehot(0, 1)


def test_a_gzipped_fasta_serves_as_shared_references_and_says_which_letters_became_n(
    tmp_path: Path, sequences: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = ["ACGT" * 15, "acgtn" * 12, "R" * 60]
    fasta = tmp_path / "references.fa.gz"
    fasta.write_bytes(gzip.compress("".join(f">{n}\r\n{r}\r\n" for n, r in enumerate(records)).encode()))
    out = tmp_path / "references.h5"
    with caplog.at_level(logging.WARNING, "genolift"):
        summary = make_references(sequences, out, "fasta", fasta=fasta)
    assert summary == ReferenceSummary("fasta", 3, 0, True, 5, 60)
    assert "60 R" in caplog.text
    with open_references(out) as opened:
        expected = onehot_of_codes(np.stack([encode_letters(record) for record in records]))
        assert np.array_equal(opened.shared_onehot(), expected)


def test_make_references_rna_are_read_as_dna_where_that_is_meant(tmp_path: Path, sequences: Path) -> None:
    fasta, out = tmp_path / "references.fa", tmp_path / "references.h5"
    fasta.write_text(f">one\n{'ACGU' * 15}\n")
    with pytest.raises(InputError, match="this looks like RNA"):
        make_references(sequences, out, "fasta", fasta=fasta)
    make_references(sequences, out, "fasta", fasta=fasta, rna=True)
    with open_references(out) as opened:
        assert np.array_equal(opened.shared_onehot(), onehot_of_codes(encode_letters("ACGT" * 15)[None]))


def test_a_reference_of_another_length_is_refused_by_name_and_nothing_is_written(
    tmp_path: Path, sequences: Path
) -> None:
    fasta = tmp_path / "references.fa"
    fasta.write_text(f">good\n{'A' * 60}\n>short\nACGT\n")
    with pytest.raises(InputError) as caught:
        make_references(sequences, tmp_path / "references.h5", "fasta", fasta=fasta)
    assert "record 2 'short'" in str(caught.value)
    assert "the reference has 4 bases, the sequences have 60" in str(caught.value)
    assert not list(tmp_path.glob("*references.h5"))


def test_nothing_half_written_stays_when_shuffling_fails(
    tmp_path: Path, sequences: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("genolift.steps.reference.shuffle_codes", fail)
    with pytest.raises(KeyboardInterrupt):
        make_references(sequences, tmp_path / "references.h5", "uniform_shuffle")
    assert not list(tmp_path.glob("*references.h5"))


def test_sequences_that_no_shuffle_can_change_are_named(
    tmp_path: Path, sequences: Path, caplog: pytest.LogCaptureFixture
) -> None:
    letters = (tmp_path / "sequences.fa").read_text().splitlines()
    letters[letters.index(">s7") + 1] = "A" * 60
    (tmp_path / "sequences.fa").write_text("\n".join(letters) + "\n")
    encode(source_of(fasta=tmp_path / "sequences.fa"), table=tmp_path / "sequences.tsv", store=sequences)
    with caplog.at_level(logging.WARNING, "genolift"):
        make_references(sequences, tmp_path / "references.h5", "dinucleotide_shuffle")
    assert "1 of 5 sequences equal all their shuffles" in caplog.text
    assert "key 7" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "shuffle"},
            "references.kind: \"shuffle\" is not a choice; did you mean 'uniform_shuffle'?",
        ),
        ({"kind": "uniform_shuffle", "number": 0}, "references.number: 0 is less than 1"),
        ({"kind": "fasta"}, "the kind is 'fasta', but no file is given; give"),
        ({"kind": "zeros", "fasta": Path("mine.fa")}, "'fasta' is given, but the kind is 'zeros'; leave"),
        (
            {"kind": "zeros", "frequencies": [0.25] * 4},
            "'frequencies' is given, but the kind is",
        ),
        (
            {"kind": "base_frequencies", "frequencies": [1, 1, 1, 1]},
            "the frequencies add up to 4",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    arguments: dict[str, Any], message: str, tmp_path: Path, sequences: Path
) -> None:
    with pytest.raises(InputError) as caught:
        make_references(sequences, tmp_path / "references.h5", **arguments)
    assert message in str(caught.value)
    assert not (tmp_path / "references.h5").exists()


def test_a_file_that_is_no_store_of_references_is_refused(tmp_path: Path, sequences: Path) -> None:
    (tmp_path / "text.h5").write_text("hello")
    make_references(sequences, tmp_path / "short.h5", "uniform_shuffle", number=2)
    with h5py.File(tmp_path / "short.h5", "a") as file:
        file.attrs["number"] = 3
    make_references(sequences, tmp_path / "bare.h5", "uniform_shuffle", number=2)
    with h5py.File(tmp_path / "bare.h5", "a") as file:
        del file["codes"]
    for name in ("text.h5", "sequences.h5", "short.h5", "bare.h5"):
        with (
            pytest.raises(InputError, match=r"is not a file of references.*make it again with genolift ref"),
            open_references(tmp_path / name),
        ):
            pass
    with pytest.raises(InputError, match="no such file"), open_references(tmp_path / "missing.h5"):
        pass


def test_shuffling_tensors_imports_nothing_that_only_files_need() -> None:
    program = "import genolift.references.makers, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "genolift.references.shuffle" in loaded
    assert not loaded & {"torch", "pandas", "h5py", "pydantic"}
