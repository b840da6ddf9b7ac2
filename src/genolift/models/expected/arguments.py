"""A model's inputs in its author's layout: axes and letters of the DNA, and further inputs by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from genolift.data.alphabet import BASES
from genolift.errors import InputError
from genolift.models import Model, input_length
from genolift.models.layout import Laid, Shape, argument_names, shape_of
from genolift.settings.model import BASES_FIRST, ModelSpec, axes_of

_ROUNDING = 1e-5


@dataclass(frozen=True)
class Arguments:
    """The inputs of a model."""

    axes: tuple[str, ...]
    """Of the DNA in the author's layout: "bases" (followed by extra channels), "length" and "1"."""
    letters: str
    """The letter of each of its channels, A C G T and perhaps N."""
    extra_channels: int
    length: int | None
    """In bases; None for any."""
    dna: str
    """The model's name for its first input; empty if there is none."""
    further: tuple[str, ...]
    """Its other inputs by name, in order, without the extra channels."""
    needed: int
    """How many of those are required."""

    @property
    def shapes(self) -> str:
        """The shapes that an array of inputs may have, in words."""
        both = ([size or "length" for size in shape] for shape in (self._own, (len(BASES), self.length)))
        own, plain = (f"(n, {', '.join(map(str, sizes))})" for sizes in both)
        return own if own == plain else f"{own} or {plain}"

    @property
    def _own(self) -> Shape:
        """The shape in the author's layout, without the row's axis."""
        return shape_of(self.axes, len(self.letters) + self.extra_channels, self.length)

    def _is_own(self, shape: Sequence[int]) -> bool:
        return len(shape) == len(self.axes) and all(map(_may_be, self._own, shape))

    def _is_plain(self, shape: Sequence[int]) -> bool:
        return len(shape) == 2 and shape[0] == len(BASES) and _may_be(self.length, shape[1])

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether an array of inputs may have this shape, given without the row's axis."""
        return self._is_own(shape) or self._is_plain(shape)

    def bases_of(self, values: Tensor, where: str) -> tuple[Tensor, Tensor | None]:
        """Return the bases of inputs, float (row, 4, position), A C G T, and the extra channels among them.

        Parameters
        ----------
        values
            In the author's layout, with the alphabet's letters in its order; or (row, 4, position), A C G T.

        Raises
        ------
        InputError
            If they have neither shape, could be read in two ways, or the N channel is not 1 where there is no
            base.
        """
        shape = tuple(values.shape[1:])
        own = self._is_own(shape)
        if not own and not self._is_plain(shape):
            raise InputError(
                f"has the shape (n, {', '.join(map(str, shape))}), the model takes {self.shapes}",
                where=where,
                remedy="give the arrays that the author's model was given, or set model.axes, model.alphabet "
                "and model.input_length to what it takes",
            )
        if not own:
            return values, None
        if self.axes != axes_of(BASES_FIRST) and self._is_plain(shape):
            raise InputError(
                f"has the shape (n, {', '.join(map(str, shape))}), which may be {','.join(self.axes)} or "
                f"{BASES_FIRST}",
                where=where,
                remedy="give the inputs as FASTA",
            )
        bases, length = self.axes.index("bases") + 1, self.axes.index("length") + 1
        ones = [place for place, axis in enumerate(self.axes, 1) if axis == "1"]
        values = values.permute(0, *ones, bases, length).flatten(0, len(ones))
        channels = values[:, len(self.letters) :] if self.extra_channels else None
        acgt = values[:, [self.letters.index(base) for base in BASES]]
        if "N" in self.letters:
            unknown = values[:, self.letters.index("N")]
            wrong = ((1 - acgt.sum(1) - unknown).abs() > _ROUNDING).any(1)
            if bool(wrong.any()):
                raise InputError(
                    f"has an N channel that is not 1 at an empty position of row {int(wrong.int().argmax())}",
                    where=where,
                    remedy="check model.alphabet; if the fifth channel is not N, give it as one of "
                    "extra_channels",
                )
        return acgt, channels


def _may_be(wanted: int | None, size: int) -> bool:
    return wanted in (None, size)


def arguments_of(model: Model, spec: ModelSpec) -> Arguments:
    """Return the inputs of a model from `genolift.models.load_model`."""
    laid = model if isinstance(model, Laid) else None
    own = laid.model if laid is not None else model
    names, needed = argument_names(own)
    channels = laid.extra_channels if laid is not None else getattr(model, "extra_channels", None) or 0
    apart = 1 if laid is None and channels else 0  # as genolift export writes them
    return Arguments(
        axes=axes_of(BASES_FIRST) if laid is None else laid.axes,
        letters=BASES if laid is None else laid.letters,
        extra_channels=channels,
        length=input_length(model, spec),
        dna=names[0] if names else "",
        further=tuple(names[1 + apart :]),
        needed=max(0, needed - 1 - apart),
    )
