"""A model that does not give its author's outputs is refused before anything is queued."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from checked_models import Of, check
from made_up_results import tell
from numpy.typing import NDArray
from refusals import refused_by
from run_steps import LENGTH, Study, source_of, study
from test_keras_odd import spec as odd
from torch import Tensor, nn
from workflows import snakemake

import genolift
from genolift.cli import main as cli
from genolift.errors import InputError
from genolift.files import npz
from genolift.files.whole import sha256
from genolift.inspection.described import inspect_model
from genolift.inspection.text import as_text
from genolift.models import load_model
from genolift.models.expected import check_expected
from genolift.models.layout import Laid
from genolift.results.agreement import Agreement, agreement_in_words
from genolift.results.shards import check_shards, merged_blocks, merged_head, read_shards
from genolift.results.store import open_contributions, write_contributions
from genolift.settings.extra_inputs import ExtraChannel, ExtraInput, Extras
from genolift.settings.model import Expect, ModelSpec

N, BASES = 8, 30


def onehot(n: int = N, length: int = BASES, unknown: bool = False) -> Tensor:
    codes = torch.randint(4, (n, length), generator=torch.Generator().manual_seed(3))
    x = nn.functional.one_hot(codes, 4).transpose(1, 2).float().contiguous()
    if unknown:
        x[::2, :, 5:9] = 0
    return x


def small(channels: int = 4, outputs: int = 2, last: nn.Module | None = None) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv1d(channels, 3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3 * (BASES - 4), outputs)]
    return nn.Sequential(*layers, *([] if last is None else [last])).eval()


def given(folder: Path, **arrays: Any) -> Expect:
    """Inputs and outputs in one file, as the authors of most models would write them."""
    np.savez(folder / "expected.npz", **{name: np.asarray(torch.as_tensor(x)) for name, x in arrays.items()})
    return Expect(inputs=f"{folder}/expected.npz", outputs=f"{folder}/expected.npz")


def compared(
    model: nn.Module, expect: Expect, held: Extras | None = None, extra_channels: int = 0, **keys: Any
) -> Agreement:
    spec = ModelSpec(path="weights.pt", expect=expect, **keys).within(extra_channels)
    found = check_expected(model, spec, held or Extras())
    assert found is not None
    return found


def said(model: nn.Module, expect: Expect, held: Extras | None = None, **spec: Any) -> str:
    message = refused_by(lambda: compared(model, expect, held, **spec))
    assert "; " in message, "a remedy"
    return message


@torch.no_grad()
def test_right_outputs_pass_and_wrong_ones_are_refused_with_how_far_where_and_on_which_sequence(
    tmp_path: Path,
) -> None:
    model, x = small(), onehot()
    y = model(x)
    found = compared(model, given(tmp_path, dna=x, y0=y))
    assert (found.sequences, found.outputs) == (N, 1)
    assert found.error < 1e-6
    y[5, 1] += 0.25 * y.abs().max()
    message = said(model, given(tmp_path, dna=x, y0=y))
    share = float(0.25 * model(x).abs().max() / y.abs().max())
    assert f"off by {share:.2g} of the largest, over the tolerance of 0.0001;" in message
    assert "expected.npz: on sequence 5 (from 0) the model's output[1] is " in message
    assert f"the author's y0[1] {y[5, 1]:.6g}" in message
    loose = given(tmp_path, dna=x, y0=y)
    assert compared(
        model, Expect(inputs=loose.inputs, outputs=loose.outputs, tolerance=0.9)
    ).error == pytest.approx(share, rel=1e-4)


@torch.no_grad()
def test_another_activation_or_a_reversed_kernel_is_refused(tmp_path: Path) -> None:
    model, x = small(), onehot()
    right = given(tmp_path, dna=x, y0=model(x))
    activation = small()
    activation[1] = nn.ELU()
    assert "genolift reads the model wrongly" in said(activation, right)
    turned = small()
    turned[0].weight.copy_(turned[0].weight.flip(2))
    assert f"as on {N - 1} more of {N} sequences" in said(turned, right)


@torch.no_grad()
def test_outputs_that_lack_the_last_activation_are_told(tmp_path: Path) -> None:
    x, logits, probabilities = onehot(), small(), small(last=nn.Sigmoid())
    message = said(probabilities, given(tmp_path, dna=x, y0=logits(x)))
    assert "the model's is the sigmoid of the author's" in message
    message = said(logits, given(tmp_path, dna=x, y0=probabilities(x)))
    assert "the author's is the sigmoid of the model's" in message
    message = said(logits, given(tmp_path, dna=x, y0=logits(x).softmax(1)))
    assert "the author's is the softmax of the model's" in message


class Two(NamedTuple):
    profile: Tensor
    counts: Tensor


def two(kind: Callable[[Tensor, Tensor], Any]) -> nn.Module:
    return Of(lambda m, x: kind(m.net(x), m.net(x).exp().sum(1, keepdim=True)), net=small())


KINDS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "a mapping": lambda profile, counts: {"profile": profile, "counts": counts},
    "a tuple": lambda profile, counts: (profile, counts),
    "a named tuple": Two,
    "one inside another": lambda profile, counts: {"heads": [profile, counts]},
}


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_several_outputs_are_found_by_number(tmp_path: Path, kind: Any) -> None:
    model, x = two(kind), onehot()
    profile, counts = model.net(x), model.net(x).exp().sum(1, keepdim=True)
    assert compared(model, given(tmp_path, dna=x, y0=profile, y1=counts)).outputs == 2
    assert compared(model, given(tmp_path, arr_0=x, arr_1=profile, arr_2=counts)).outputs == 2
    assert "has no array of the model's output" in said(model, given(tmp_path, dna=x, y0=profile))
    message = said(model, given(tmp_path, dna=x, y0=profile, y1=counts, y2=counts))
    assert "has the array y2, and the model has 2 outputs; leave y2 out" in message


@torch.no_grad()
def test_several_outputs_are_found_by_name_and_two_that_are_swapped_are_told(tmp_path: Path) -> None:
    model = Of(lambda m, x: {"a": m.net(x)[:, :1], "b": m.net(x)[:, 1:]}, net=small())
    x = onehot()
    a, b = model(x).values()
    assert compared(model, given(tmp_path, dna=x, b=b, a=a)).outputs == 2
    assert compared(model, given(tmp_path, dna=x, y_b=b, y_a=a)).outputs == 2
    for swapped in ({"a": b, "b": a}, {"y0": b, "y1": a}):
        first = next(iter(swapped))
        assert f"{first} is the model's output b: give the array that name" in said(
            model, given(tmp_path, dna=x, **swapped)
        )


class InLayout(nn.Module):
    """A net of (n, channel, position) that takes its input in another layout, as its author wrote it."""

    def __init__(self, net: nn.Module, axes: str) -> None:
        super().__init__()
        self.net = net
        self.bases_last = axes.endswith("bases") or axes.endswith("bases,1")
        self.shape = tuple(0 if axis == "1" else -1 for axis in axes.split(","))

    def laid(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2) if self.bases_last else x
        for place, size in enumerate(self.shape, 1):
            x = x.unsqueeze(place) if size == 0 else x
        return x

    def forward(self, values: Tensor) -> Tensor:
        assert values.shape[1:] == self.laid(torch.zeros(1, self.net[0].in_channels, BASES)).shape[1:]
        values = values.squeeze(tuple(place for place, size in enumerate(self.shape, 1) if size == 0))
        return self.net(values.transpose(1, 2) if self.bases_last else values)


@torch.no_grad()
@pytest.mark.parametrize("axes", ["bases,length", "length,bases", "1,length,bases", "bases,1,length"])
@pytest.mark.parametrize("letters", ["ACGT", "UGCA", "ACGTN", "TNACG"])
def test_inputs_are_in_the_author_s_layout_and_letters_or_in_genolift_s(
    tmp_path: Path, axes: str, letters: str
) -> None:
    x = onehot(unknown="N" in letters)
    channels = torch.cat([x, 1 - x.sum(1, keepdim=True)], 1)
    theirs = channels[:, ["ACGTN".index(letter.replace("U", "T")) for letter in letters]]
    author = InLayout(small(len(letters)), axes)
    model = Laid(author, axes, letters, 0)
    y = author.net(theirs)
    assert compared(model, given(tmp_path, dna=author.laid(theirs), y0=y), alphabet=letters).error < 1e-6
    if (axes, letters) != ("bases,length", "UGCA"):  # which has the author's shape too
        assert compared(model, given(tmp_path, dna=x, y0=y), alphabet=letters).error < 1e-6
    write_fasta(tmp_path / "in.fa", x, "U" in letters)
    np.savez(tmp_path / "out.npz", y0=y)
    files = Expect(inputs=f"{tmp_path}/in.fa", outputs=f"{tmp_path}/out.npz")
    assert compared(model, files, alphabet=letters).error < 1e-6


def letters_of(x: Tensor) -> list[str]:
    codes = torch.where(x.sum(1) == 0, 4, x.argmax(1))
    return ["".join("ACGTN"[code] for code in row) for row in codes.tolist()]


def write_fasta(path: Path, x: Tensor, rna: bool = False) -> None:
    texts = [text.replace("T", "U") if rna else text for text in letters_of(x)]
    path.write_text("".join(f">s{row}\n{text}\n" for row, text in enumerate(texts)))


def test_what_may_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    square = Laid(Of(lambda _, x: x.flatten(1)), "length,bases", "ACGT", 0)
    message = said(square, given(tmp_path, dna=torch.eye(4)[None], y0=torch.zeros(1, 16)))
    assert (
        "has the shape (n, 4, 4), which may be length,bases or bases,length; give the inputs as FASTA"
        in message
    )
    both = given(tmp_path, first=onehot(), second=onehot(), y0=torch.zeros(N, 2))
    message = said(small(), both)
    assert "several arrays that may be the DNA (first 8x4x30, second 8x4x30" in message
    assert message.endswith("call it dna: numpy.savez(FILE, dna=...)")


@torch.no_grad()
def test_one_array_of_dna_may_have_any_name(tmp_path: Path) -> None:
    model, x = small(), onehot()
    for names in (
        {"onehot": x, "y": model(x)},
        {"seqs": x, "outputs": model(x)},
        {"input": x, "mine": model(x)},
    ):
        assert compared(model, given(tmp_path, **names)).error < 1e-6
    np.savez(tmp_path / "a.npz", x)
    np.savez(tmp_path / "b.npz", model(x))
    assert compared(model, Expect(inputs=f"{tmp_path}/a.npz", outputs=f"{tmp_path}/b.npz")).error < 1e-6


@torch.no_grad()
@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8", "int32", "bool", ">f4"])
def test_numbers_of_any_type_are_read(tmp_path: Path, dtype: str) -> None:
    model, x = small(), onehot()
    np.savez(tmp_path / "a.npz", dna=x.numpy().astype(dtype), y0=model(x).double().numpy())
    assert compared(model, Expect(inputs=f"{tmp_path}/a.npz", outputs=f"{tmp_path}/a.npz")).error < 1e-6


class Tagged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = small()

    def forward(self, x: Tensor, tag: Tensor, scale: Tensor) -> Tensor:
        return self.net(x) * scale + tag.sum(1, keepdim=True)


@torch.no_grad()
def test_further_inputs_are_found_by_their_names(tmp_path: Path) -> None:
    model, x = Tagged(), onehot()
    tag, scale = torch.rand(N, 3), torch.rand(N, 1)
    y = model(x, tag, scale)
    for names in (
        {"x_tag": tag, "x_scale": scale},
        {"scale": scale, "tag": tag},
    ):
        assert compared(model, given(tmp_path, dna=x, y0=y, **names)).error < 1e-6
    assert compared(model, given(tmp_path, arr_0=x, arr_1=tag, arr_2=scale, arr_3=y)).error < 1e-6
    message = said(model, given(tmp_path, dna=x, y0=y, x_tag=tag))
    assert "has no array of the model's input scale, but x_tag 8x3" in message
    assert message.endswith("give the inputs as .npz with x_scale")
    message = said(model, given(tmp_path, dna=x, y0=y, x_tag=tag, x_scale=scale, x_more=tag))
    assert "the model has no input more; it takes tag, scale: leave x_more out" in message
    message = said(model, given(tmp_path, dna=x, y0=y, x_tag=tag[:2], x_scale=scale))
    assert "x_tag has 2 rows, dna has 8" in message


@torch.no_grad()
def test_what_the_analysis_holds_is_taken_where_the_file_has_none(tmp_path: Path) -> None:
    model, x = Tagged(), onehot()
    table = tmp_path / "library.tsv"
    table.write_text("id\ta\n" + "".join(f"s{row}\t{row / 4}\n" for row in range(N)))
    held = Extras(inputs=(ExtraInput(values=(1.0, 2.0, 3.0)), ExtraInput(table=str(table))))
    scale = torch.arange(N)[:, None] / 4
    y = model(x, torch.tensor([[1.0, 2.0, 3.0]]), scale)
    write_fasta(tmp_path / "in.fa", x)
    np.savez(tmp_path / "out.npz", y0=y)
    assert (
        compared(model, Expect(inputs=f"{tmp_path}/in.fa", outputs=f"{tmp_path}/out.npz"), held).error < 1e-6
    )
    ids = np.array([f"s{row}" for row in range(N)])
    np.savez(tmp_path / "named.npz", dna=x, id=ids, y0=y)
    assert (
        compared(model, Expect(inputs=f"{tmp_path}/named.npz", outputs=f"{tmp_path}/named.npz"), held).error
        < 1e-6
    )
    message = said(model, given(tmp_path, dna=x, y0=y), held)
    assert "has no array of the model's input scale" in message, (
        "rows of a table have ids, and these have none"
    )


@torch.no_grad()
def test_extra_channels_are_in_the_array_apart_or_the_analysis_s(tmp_path: Path) -> None:
    x, channel = onehot(), torch.rand(N, 1, BASES)
    author = InLayout(small(5), "length,bases")
    model = Laid(author, "length,bases", "ACGT", 1)
    whole = torch.cat([x, channel], 1)
    y = author.net(whole)
    spec = {"extra_channels": 1}
    assert compared(model, given(tmp_path, dna=author.laid(whole), y0=y), **spec).error < 1e-6
    assert compared(model, given(tmp_path, dna=x, x_channels=channel, y0=y), **spec).error < 1e-6
    constant = Extras(channels=(0.5,))
    half = author.net(torch.cat([x, torch.full_like(channel, 0.5)], 1))
    assert compared(model, given(tmp_path, dna=x, y0=half), constant, **spec).error < 1e-6
    track = Extras(channels=(ExtraChannel(bigwig="phyloP.bw"),))
    message = said(model, given(tmp_path, dna=x, y0=half), track, **spec)
    assert message.endswith("give the inputs as .npz with x_channels, (n, 1, length)")


@torch.no_grad()
def test_sequences_as_fasta_and_outputs_as_a_table_by_id(tmp_path: Path) -> None:
    model, x = small(), onehot()
    y = model(x)
    write_fasta(tmp_path / "in.fa", x)
    rows = [f"s{row}\t{y[row, 1]:.8g}\t{y[row, 0]:.8g}\n" for row in reversed(range(N))]
    table = tmp_path / "out.tsv"
    files = Expect(inputs=f"{tmp_path}/in.fa", outputs=str(table))
    table.write_text("id\tTAL1\tGATA1\n" + "".join(rows))
    assert "on sequence s" in said(model, files), "columns are taken in their order"
    model.tasks = ["GATA1", "TAL1"]
    assert compared(model, files).error < 1e-6, "or by the names of the model's tasks"
    table.write_text("id\t1\t0\n" + "".join(rows))
    assert compared(model, files).error < 1e-6, "or by number"
    table.write_text("id\tone\n" + "".join(f"s{row}\t1\n" for row in range(N)))
    assert "has 1 column beside 'id', the model gives 2 values" in said(model, files)
    table.write_text("id\t1\t0\n" + "".join(rows[:-1]))
    assert "has no row for 1 of 8 sequences, 's0' first" in said(model, files)
    table.write_text("id\t1\t0\n" + "".join(rows[:-1]) + "s0\tNA\t1\n")
    assert "out.tsv:9: the value in column '1' of 's0' is missing" in said(model, files)
    several = two(KINDS["a mapping"])
    values = torch.cat(list(several(x).values()), 1)
    table.write_text(
        "id\tprofile[0]\tprofile[1]\tcounts\n"
        + "".join(f"s{row}\t" + "\t".join(f"{value:.8g}" for value in values[row]) + "\n" for row in range(N))
    )
    assert compared(several, files).outputs == 2
    table.write_text(table.read_text().replace("counts", "count"))
    assert "called by output and place, such as counts[0]" in said(several, files)
    np.savez(tmp_path / "in.npz", dna=x)
    assert "the inputs have no ids" in said(model, Expect(inputs=f"{tmp_path}/in.npz", outputs=str(table)))


@torch.no_grad()
def test_another_encoding_of_n_is_told(tmp_path: Path) -> None:
    model, x = small(), onehot(unknown=True)
    write_fasta(tmp_path / "in.fa", x)
    quarter = torch.where(x.sum(1, keepdim=True) == 0, 0.25, x)
    np.savez(tmp_path / "out.npz", y0=model(quarter))
    message = said(model, Expect(inputs=f"{tmp_path}/in.fa", outputs=f"{tmp_path}/out.npz"))
    assert "the sequences without N agree: genolift has zeros for an N" in message
    masked = model(x)
    masked[::2] *= 0.5
    message = said(model, given(tmp_path, dna=x, y0=masked))
    assert "the sequences without an empty position agree: the author's framework masks those" in message


def test_records_that_do_not_fit_are_said_with_their_place(tmp_path: Path) -> None:
    fasta = tmp_path / "in.fa"
    files = Expect(inputs=str(fasta), outputs=str(fasta))
    fasta.write_text(f">a\n{'ACGTA' * 6}\n>b\nACGT\n")
    assert f"model.expect.inputs: {fasta}, record 2 'b' (line 3): has 4 bases, the first has 30" in said(
        small(), files
    )
    assert "has 30 bases, the model takes 40" in said(small(), files, input_length=40)
    fasta.write_text(">a\nACGU\n")
    assert "this looks like RNA" in said(small(), files)
    fasta.write_text("")
    assert "holds no FASTA record" in said(small(), files)


X = np.zeros((N, 4, BASES), np.float32)
Y = np.zeros((N, 2), np.float32)


def savez(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def zipped(**records: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(array: NDArray[Any], **changed: str) -> bytes:
    """An array as numpy writes it, with parts of its header changed."""
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    for old, new in changed.items():
        before = old.replace("_", " ").encode()
        content = content.replace(before, new.encode().ljust(len(before)), 1)
    return content


def with_row(array: NDArray[Any], row: int, value: float) -> NDArray[Any]:
    changed = array.copy()
    changed[row, 1] = value
    return changed


DAMAGED: dict[str, tuple[bytes, str]] = {
    "objects": (savez(dna=X, y0=Y.astype(object)), "y0: holds Python objects, which could run code"),
    "complex numbers": (savez(dna=X, y0=Y.astype(complex)), "y0: holds complex128, not real numbers"),
    "texts": (savez(dna=X, y0=Y.astype(str)), "y0: does not have numbers for each sequence"),
    "a DNA of texts": (savez(dna=X.astype(str), y0=Y), "dna: does not have numbers for each sequence"),
    "no outputs": (savez(dna=X), "has no array of the model's output y0, but dna 8x4x30"),
    "no inputs": (savez(y0=Y), "has no array that may be the DNA (y0 8x2), (n, 4, length)"),
    "nothing": (savez(), "holds no array"),
    "fewer rows": (savez(dna=X, y0=Y[:3]), "y0: has 3 rows, the inputs have 8 sequences"),
    "no rows": (savez(dna=X[:0], y0=Y[:0]), "dna: holds no sequence"),
    "another shape": (savez(dna=X, y0=np.zeros((N, 3))), "has the shape (n, 3), the model's output (n, 2)"),
    "another length": (savez(dna=X[:, :, :20], y0=Y), "the model does not take an input of shape (n, 4, 20)"),
    "another number of channels": (
        savez(dna=np.zeros((N, 5, BASES)), y0=Y),
        "dna: has the shape (n, 5, 30), the model takes (n, 4, length)",
    ),
    "NaN in the outputs": (savez(dna=X, y0=with_row(Y, 6, np.nan)), "holds NaN or infinity, on sequence 6"),
    "NaN in the inputs": (savez(dna=with_row(X, 2, np.inf), y0=Y), "dna: holds NaN or infinity, in row 2"),
    "ids that are too few": (savez(dna=X, y0=Y, id=np.array(["a"])), "id has 1 different names, there are 8"),
    "a single array": (npy(X), "is a single array (.npy); write it with numpy.savez"),
    "a text": (b"id\ta\n", "text before the first record"),
    "an empty file": (b"", "holds no FASTA record (it is empty)"),
    "a damaged name": (savez(dna=X, y0=Y).replace(b"y0.npy", b"y0.npq"), "holds 'y0.npq', which is not"),
    "a truncated file": (savez(dna=X, y0=Y)[:-40], "is damaged (File is not a zip file)"),
    "a wrong checksum": (savez(dna=X, y0=Y).replace(b"\x93NUM", b"\x93NUM"), ""),
    "an array cut short": (zipped(dna=npy(X)[:-4], y0=npy(Y)), "dna.npy does not have the size of its shape"),
    "a shape that is not there": (
        zipped(dna=npy(X, **{"(8,_4,_30)": "(8,4,9**9)"}), y0=npy(Y)),
        "is damaged",
    ),
    "a header that is code": (zipped(dna=npy(X, **{"False": "f()"}), y0=npy(Y)), "is damaged"),
    "an archive of other things": (zipped(**{"a.txt/x": b"no array"}), "is damaged"),
}  # fmt: skip
del DAMAGED["a wrong checksum"]


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_an_odd_or_damaged_file_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    files = Expect(inputs=f"{tmp_path}/a.npz", outputs=f"{tmp_path}/a.npz")
    assert message in (found := said(small(), files))
    assert found.startswith(("model.expect.inputs: ", "model.expect.outputs: "))
    assert len(found) < 400


def test_a_flipped_byte_and_an_archive_that_unpacks_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.npz"
    files = Expect(inputs=str(file), outputs=str(file))
    content = io.BytesIO()
    np.savez(content, dna=X, y0=Y)
    whole = bytearray(content.getvalue())
    whole[whole.index(b"\x93NUMPY") + 200] ^= 1
    file.write_bytes(whole)
    assert "is damaged (Bad CRC-32 for file 'dna.npy')" in said(small(), files)
    assert npz.MOST_BYTES == 2**28
    monkeypatch.setattr(npz, "MOST_BYTES", 2**20)
    file.write_bytes(zipped(dna=bytes(2**22)))
    assert file.stat().st_size < 10_000
    message = said(small(), files)
    assert message.endswith(
        "expands to 4 MiB, more than the 1 MiB allowed; a few sequences are enough: write fewer"
    )


def test_a_config_s_keys_are_checked() -> None:
    for keys, message in (
        ({"inputs": "a.npz"}, "model.expect: the key 'outputs' is missing; give what the author's"),
        ({"tolerance": 1e-3}, "model.expect: the key 'inputs' is missing; give a few inputs"),
        ({"input": "a.npz"}, "model.expect.input: unknown key; did you mean 'inputs'?"),
        (
            {"inputs": "a", "outputs": "b", "tolerance": 0},
            "model.expect.tolerance: 0 is less than 1e-12; give a number from 1e-12 to 1",
        ),
        ("a.npz", 'model.expect: "a.npz" is text; give keys with values'),
    ):
        with pytest.raises(InputError) as raised:
            ModelSpec.of({"path": "weights.pt", "expect": keys})
        assert message in str(raised.value)
    spec = ModelSpec.of({"path": "weights.pt", "expect": {"inputs": "a.npz", "outputs": "b.tsv"}})
    assert spec.files == ("weights.pt", "a.npz", "b.tsv")
    assert ModelSpec.of(spec.keys()) == spec
    assert ModelSpec.of({"path": "weights.pt", "expect": {}}).expect is None


def test_the_agreement_is_said_in_words() -> None:
    assert (
        agreement_in_words(Agreement(8, 1, 4.2e-7))
        == "agrees with the author's outputs on 8 sequences (4e-7)"
    )
    assert agreement_in_words(Agreement(1, 1, 0.0)).endswith("on 1 sequence (to the last digit)")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("expected"), n=4)


@torch.no_grad()
def write_expected(made: Study, wrong: float = 0.0, name: str = "expected.npz") -> dict[str, str]:
    x = onehot(length=LENGTH)
    y = genolift.load_model(made.model)(x)
    y[3, 0] += wrong
    np.savez(made.folder / name, dna=x, y0=y)
    return dict.fromkeys(("inputs", "outputs"), f"{made.folder}/{name}")


def test_check_attribute_and_inspect_compare_and_say_so(done: Study) -> None:
    keys = {"path": done.model.path, "class": done.model.class_name}
    right = ModelSpec.of(keys | {"expect": write_expected(done)})
    wrong = ModelSpec.of(keys | {"expect": write_expected(done, 1.0, "wrong.npz")})
    source = source_of(fasta=done.folder / "sequences.fa")
    assert check(done, source).agreements == {}
    assert "agreement" not in json.loads((done.folder / "check.json").read_text())
    summary = check(done, source, models={"model": right})
    assert summary.agreements["model"].sequences == N
    told = json.loads((done.folder / "check.json").read_text())["agreement"]["model"]
    assert told["error"] == summary.agreements["model"].error < 1e-6
    with pytest.raises(InputError, match=r"^models\.b: model\.expect\.outputs: .*wrong\.npz: on sequence 3"):
        check(done, source, models={"b": wrong, "a": right})
    with pytest.raises(InputError, match=r"wrong\.npz: on sequence 3"):
        done.attribute("wrong.h5", model=wrong)
    assert not (done.folder / "wrong.h5").exists()
    found = inspect_model(right)
    assert "agrees with the author's outputs on 8 sequences (" in as_text(found)
    assert inspect_model(wrong).error is not None
    with pytest.raises(InputError, match=r"wrong\.npz: on sequence 3"):
        genolift.load_model(wrong)


def test_a_run_attributes_nothing_of_a_model_that_gives_other_outputs(tmp_path: Path) -> None:
    made = study(tmp_path, n=4)
    write_expected(made, 1.0)
    expect = dict.fromkeys(("inputs", "outputs"), "expected.npz")
    model = {"path": "weights.safetensors", "class": "model.py:Small", "expect": expect}
    analysis = {"model": model, "sequences": {"fasta": "sequences.fa"}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"analyses": {"mine": analysis}}))
    code, output = snakemake("-n", "-p", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 0, output
    for name in ("attribute", "check"):
        (said,) = re.findall(rf"genolift {name} .*", output)
        assert '"expect": {"inputs": "expected.npz", "outputs": "expected.npz"}' in said
    code, output = snakemake("--cores", "1", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 1
    line = (
        "genolift: error: model.expect.outputs: expected.npz: on sequence 3 (from 0) the model's output[0] is"
    )
    assert output.splitlines()[-1].startswith(line)
    begun = {path.name for path in (tmp_path / "results" / "mine").iterdir()}
    assert begun <= {"logs", "sequences.tsv", "sequences.h5"}


def test_a_file_of_the_author_s_outputs_is_no_place_for_an_output(done: Study) -> None:
    keys = {"path": done.model.path, "class": done.model.class_name, "expect": write_expected(done)}
    source = source_of(fasta=done.folder / "sequences.fa")
    with pytest.raises(InputError, match="is also an input, and would be replaced"):
        check(done, source, models={"model": ModelSpec.of(keys)}, out=done.folder / "expected.npz")


def test_shards_may_differ_in_the_rounding_of_the_comparison_alone(done: Study) -> None:
    keys = {"path": done.model.path, "class": done.model.class_name, "expect": write_expected(done)}
    shards = [done.folder / f"shard-{number}.h5" for number in range(2)]
    for number, shard in enumerate(shards):
        done.attribute(shard.name, model=ModelSpec.of(keys), shard=(number, 2))
    with open_contributions(shards[0]) as store:
        told = store.provenance
    assert told["model_expect"]["inputs_sha256"] == sha256(keys["expect"]["inputs"])
    assert told["model_agreement"]["sequences"] == N
    tell(shards[1], model_agreement={"sequences": N, "outputs": 1, "error": 3e-5})
    heads = read_shards(shards)
    check_shards(heads, np.arange(4))
    write_contributions(done.folder / "merged.h5", merged_head(heads), merged_blocks(heads))
    with open_contributions(done.folder / "merged.h5") as store:
        assert store.provenance["model_agreement"]["error"] == 3e-5
    tell(shards[1], model_expect={})
    with pytest.raises(InputError, match="was made with model_expect"):
        check_shards(read_shards(shards), np.arange(4))


def test_the_command_line_compares_too(done: Study, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_expected(done)["inputs"]
    expect = ["--expect-inputs", file, "--expect-outputs", file]
    out = ["--fasta", f"{done.folder}/sequences.fa", "--out", f"{done.folder}/check.json"]
    assert command("check", *out, *done.flags(), *expect) == 0
    said = capsys.readouterr().out
    assert f"the model runs on 2 sequences of {LENGTH} bp, and agrees with the author's outputs on 8" in said
    assert command("plan", *done.flags(), *expect) == 0
    assert capsys.readouterr().out.startswith("The model agrees with the author's outputs on 8 sequences (")
    assert command("check", *out, *done.flags(), *expect[:2]) == 2
    assert "expect: the key 'outputs' is missing; " in capsys.readouterr().err
    file = write_expected(done, 1.0)["inputs"]
    for words in (("plan",), ("export", "--out", f"{done.folder}/model.pt2")):
        assert command(*words, *done.flags(), *expect) == 2, words
        assert "on sequence 3 (from 0) the model's output[0] is" in capsys.readouterr().err
    assert not (done.folder / "model.pt2").exists()
    write_expected(done, 0.01)
    assert command("plan", *done.flags(), *expect) == 2
    assert command("plan", *done.flags(), *expect, "--expect-tolerance", "0.9") == 0


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(list(words))
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    "name", ["avg_same3_keras2", "masking_keras2", "masking_keras3", "nest2_frozen_same_keras2"]
)
def test_one_file_with_the_inputs_and_outputs_of_keras_is_taken_as_it_is(shared: Path, name: str) -> None:
    folder = shared / "keras" / "odd"
    spec = ModelSpec.of(
        odd(folder, name) | {"expect": dict.fromkeys(("inputs", "outputs"), f"{folder}/{name}.npz")}
    )
    model = load_model(spec)
    with np.load(f"{folder}/{name}.npz", allow_pickle=False) as saved:
        dna, right = torch.as_tensor(saved["dna"]).transpose(1, 2), saved["y0"]
    with torch.no_grad():
        off = np.abs(model(dna).numpy() - right).max() / np.abs(right).max()
    if off > 1e-4:
        with pytest.raises(InputError, match=f"off by {off:.2g} of the largest"):
            check_expected(model, spec)
    else:
        found = check_expected(model, spec)
        assert found is not None
        assert (found.sequences, found.error) == (6, pytest.approx(off, abs=1e-7))
