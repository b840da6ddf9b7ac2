"""TorchScript as an exported program. Knows nothing of other files.

A TorchScript archive is a program: reading one can run what it holds, and its language can write files. So
it is read only with ``trust``. torch converts it for inputs of one length.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from genolift.errors import InputError
from genolift.model_spec import ModelSpec

_MEND = "load the module that it was made from, with its class, or write that with genolift export"
_LARGEST_DIFFERENCE = 1e-4
"""Of a converted program's outputs from those of the TorchScript, relative to them."""


def torchscript(path: Path, spec: ModelSpec) -> ExportedProgram:
    """Return the program of a TorchScript archive, for any number of rows.

    Raises
    ------
    InputError
        If it is not trusted, its input's length is not known, or torch cannot convert it.
    """
    where = f"model.path: {path}"
    if not spec.trust:
        raise InputError(
            "is TorchScript, which can run code when read",
            where=where,
            remedy=f"{_MEND}; or, if you trust its source, set trust: true",
        )
    if spec.input_length is None:
        raise InputError(
            "is TorchScript, which does not say its input length",
            where=where,
            remedy="give model.input_length (--input-length)",
        )
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _converted(path, spec)
    except InputError:
        raise
    except Exception as error:
        why = next(iter(str(error).strip().splitlines()), "")[:120]
        raise InputError(
            f"is TorchScript that torch cannot write as a graph ({type(error).__name__}: {why})",
            where=where,
            remedy=_MEND,
        ) from error
    finally:
        logging.disable(before)


def _converted(path: Path, spec: ModelSpec) -> ExportedProgram:
    from torch._export.converter import TS2EPConverter

    module: Any = torch.jit.load(str(path), map_location="cpu").eval()
    example = _example(spec, rows=3)
    captured = TS2EPConverter(module, (example,)).convert().module()
    program = torch.export.export(
        captured, (example,), dynamic_shapes=({0: Dim("batch", min=2)},), strict=False
    )
    with torch.no_grad():
        other = _example(spec, rows=5)
        expected, found = module(other), program.module()(other)
    if not torch.allclose(found, expected, rtol=_LARGEST_DIFFERENCE, atol=1e-5):
        raise ValueError("its graph gives other outputs")
    return program


def _example(spec: ModelSpec, rows: int) -> torch.Tensor:
    """Return random one-hot rows in the model's own layout."""
    from genolift.model_spec import BASES_FIRST, axes_of

    assert spec.input_length is not None
    channels = len(spec.alphabet) + spec.extra_channels
    random = torch.Generator().manual_seed(rows)
    codes = torch.randint(channels, (rows, spec.input_length), generator=random)
    x = torch.nn.functional.one_hot(codes, channels).float()  # length, bases
    names = axes_of(spec.axes or BASES_FIRST)
    if names.index("bases") < names.index("length"):
        x = x.transpose(1, 2).contiguous()
    for place, name in enumerate(names, 1):
        if name == "1":
            x = x.unsqueeze(place)
    return x
