"""The methods beside DeepLIFT: in-silico mutagenesis, gradient x input, Grad-CAM.

All explain the target that `genolift.deeplift` explains, on the same captured graph, and give the same type
of result. What is a rule for an operation is in engine/rules/, not here.
"""

from collections.abc import Callable
from contextlib import closing
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from genolift.engine.graph.own_state import own_state
from genolift.engine.run.given import as_tensor, is_onehot
from genolift.engine.run.job import Job, Split
from genolift.engine.run.sums import check_output
from genolift.errors import InputError
from genolift.explain.attribution import Options, deeplift, divided
from genolift.explain.explainer import Explainer, Model, checked_size, shown
from genolift.explain.result import Attribution, bases_of
from genolift.explain.substitution import ForwardOnly, Rows
from genolift.targets.targets import LAST_CONVOLUTION, Target, one_target


@own_state()
def in_silico_mutagenesis(
    model: Model,
    inputs: Tensor,
    *,
    target: Target = 0,
    keep_final_activation: bool = False,
    extra_inputs: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool | Callable[[int], None] = False,
) -> Attribution:
    """Return what every substitution of one base does to the target.

    With f the target and x(i, b) the sequence with base b at position i, the hypothetical contribution of b
    at i is f(x(i, b)) less the mean of f(x(i, .)) over the four bases: what b there adds over an unknown
    base. Differences in a column are thus the raw effects, f(x(i, b)) - f(x).

    Parameters
    ----------
    inputs
        (n, 4, length) one-hot in the order A C G T, zero at an N.
    batch_size
        Substituted sequences computed at a time; None chooses it from the memory there is.
    progress
        Show a progress bar, or a function called with the number of substitutions done since the last call.

    model, target, keep_final_activation, extra_inputs, device, precision
        As in `genolift.deeplift`; what a target holds, such as the weights of "profile", is the unchanged
        sequence's. Nothing is passed back, so that no operation of the model needs a rule.

    Returns
    -------
    Attribution
        ``hypothetical`` and ``contributions`` (those of the bases that are there; 0 at an N), (n, 4, length)
        in units of the target; ``output`` (n,). Nothing is compared, so ``reference_output`` and
        ``convergence_error`` are (n, 0), and ``standard_error`` is NaN.

    Raises
    ------
    InputError
        If the inputs are not one-hot, do not fit the model, or an output is not finite.
    UnsupportedOperation
        If the model cannot be captured.

    Notes
    -----
    Zhou & Troyanskaya 2015 (doi 10.1038/nmeth.3547) look at all substitutions; the four bases' mean is taken
    off so that contributions have no part that is the same for every base, as in Majdandzic et al. 2023
    (doi 10.1186/s13059-023-02956-3). Where it saves time only what a base reaches is computed, and the rest
    taken from the unchanged sequence, as in Nair et al. 2022 (doi 10.1093/bioinformatics/btac135); results
    are the same but for rounding.
    """
    captured_as, run_as = divided(locals())
    return Mutagenesis(model, inputs, target=one_target(target), **captured_as).explain(inputs, **run_as)


@own_state()
def gradient_times_input(
    model: Model, inputs: Tensor, *, target: Target = 0, **options: Unpack[Options]
) -> Attribution:
    """Return the gradient at the inputs times the inputs, (n, *event): the rule "gradient" against zeros.

    Options, errors and result are those of `genolift.deeplift`; the one reference is all zero. The
    convergence error is what the linear approximation at the input misses of f(x) - f(0).

    Notes
    -----
    Shrikumar et al. 2016 (arXiv 1605.01713), section 2.
    """
    zeros = torch.zeros(1, *as_tensor(inputs, "inputs").shape[1:])
    options["rule"] = "gradient"
    return deeplift(model, inputs, zeros, target=one_target(target), **options)


@own_state()
def grad_cam(
    model: Model,
    inputs: Tensor,
    *,
    layer: str = LAST_CONVOLUTION,
    target: Target = 0,
    guided: bool = False,
    keep_final_activation: bool = False,
    extra_inputs: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool | Callable[[int], None] = False,
) -> Attribution:
    """Return Grad-CAM of a layer's feature maps, brought to the bases of the inputs.

    With values and gradients of the layer, each (n, channel, layer position), a channel's weight is the mean
    of its gradient over positions; the map is relu(sum over channels of weight x value), interpolated
    linearly to the input's length. It tells no bases apart: contributions are the map times the input.

    Parameters
    ----------
    inputs
        (n, 4, length); more generally (n, channel, length).
    layer
        The layer whose output is looked at: "last-convolution" (the activation behind it), or a submodule's
        name.
    guided
        Guided Grad-CAM: the map times the multipliers of guided backprop, times the input.
    progress
        Show a progress bar, or a function called with the number of sequences done since the last call.

    model, target, keep_final_activation, extra_inputs, batch_size, device, precision
        As in `genolift.deeplift`.

    Returns
    -------
    Attribution
        ``contributions`` (n, channel, length); ``output`` (n,). Nothing is said of other bases and nothing is
        compared: ``hypothetical`` is None, ``reference_output`` and ``convergence_error`` are (n, 0), and
        ``standard_error`` is NaN.

    Raises
    ------
    InputError
        If the inputs or the layer's output are not (n, channel, position), or there is no such layer.
    UnsupportedOperation
        If an operation behind the layer has no derivative that is known here.

    Notes
    -----
    Selvaraju et al. 2017 (arXiv 1610.02391), sections 3 and 3.1, for one-dimensional feature maps.
    """
    captured_as, run_as = divided(locals())
    explainer = GradCam(model, inputs, target=one_target(target), guided=guided, **captured_as)
    return explainer.explain(inputs, **run_as)


class Mutagenesis:
    """A model captured once, for `in_silico_mutagenesis` of many inputs of one shape; arguments as there."""

    @own_state()
    def __init__(self, model: Model, example: Tensor, **explained: Any) -> None:
        self._forward = ForwardOnly(model, example, **explained)

    @own_state()
    def explain(
        self,
        inputs: Tensor,
        *,
        extra_inputs: tuple[Tensor, ...] = (),
        batch_size: int | None = None,
        progress: bool | Callable[[int], None] = False,
    ) -> Attribution:
        """Return the effects of all substitutions in ``inputs``; arguments as in `in_silico_mutagenesis`."""
        inputs = as_tensor(inputs, "inputs")
        if not is_onehot(inputs):
            raise InputError(
                "is not one-hot: there is no base to substitute",
                where="inputs",
                remedy="give (n, 4, length), one 1 in each column and nothing at an N",
            )
        extra_inputs = tuple(as_tensor(extra, "extra_inputs") for extra in extra_inputs)
        rows = Rows(self._forward, inputs, extra_inputs, batch_size)
        output = rows.output
        values = output[:, None, None].repeat(1, 4, inputs.shape[2])
        with shown(progress, int((inputs == 0).sum()), "substitution") as advance:
            for start in range(0, len(inputs), rows.sequences_at_a_time):
                block = inputs[start : start + rows.sequences_at_a_time]
                sequence, position, base = (block == 0).transpose(1, 2).nonzero(as_tuple=True)
                for part, effects in rows.substituted(sequence + start, base, position):
                    values[sequence[part] + start, base[part], position[part]] = effects
                    advance(len(effects))
        hypothetical = values - values.mean(1, keepdim=True)
        contributions = hypothetical * inputs
        return _compared_with_nothing(self._forward, output, contributions, hypothetical, bases_of(inputs))


class GradCam:
    """A model captured once, for `grad_cam` of many inputs of one shape; arguments as there."""

    @own_state()
    def __init__(
        self,
        model: Model,
        example: Tensor,
        *,
        layer: str = LAST_CONVOLUTION,
        guided: bool = False,
        **explained: Any,
    ) -> None:
        self._layer = layer
        self._maps = Explainer(model, example, rule="gradient", layer=layer, **explained)
        self._guided = Explainer(model, example, rule="guided-backprop", **explained) if guided else None

    @own_state()
    def explain(
        self,
        inputs: Tensor,
        *,
        extra_inputs: tuple[Tensor, ...] = (),
        batch_size: int | None = None,
        progress: bool | Callable[[int], None] = False,
    ) -> Attribution:
        """Return the maps of ``inputs`` times the inputs; arguments as in `grad_cam`."""
        inputs = as_tensor(inputs, "inputs")
        if inputs.dim() != 3:
            raise InputError(
                f"have the shape {tuple(inputs.shape)}", where="inputs", remedy="give (n, 4, length)"
            )
        zeros = torch.zeros(1, *inputs.shape[1:])
        maps = torch.zeros(len(inputs), 1, inputs.shape[2], dtype=torch.float64)
        output = torch.zeros(len(inputs), dtype=torch.float64)
        job = Job(self._maps.runner, self._maps.targets, inputs, zeros, extra_inputs, ())
        size = checked_size(batch_size if batch_size is not None else self._maps.batch_size())
        run = job.run(Split(size, job.place.workers()), lambda part: part)
        with (
            shown(progress, len(inputs), "sequence") as advance,
            self._maps._settings(),
            closing(run) as parts,
        ):
            for part in parts:
                check_output(part.output[0].cpu(), part.sequences, None)
                values, gradients = part.inputs[:, 0].double(), part.multipliers[0][:, 0].double()
                maps[part.sequences] = self._map(values, gradients, inputs.shape[2]).cpu()
                output[part.sequences] = part.output[0].double().cpu()
                advance(len(values))
        contributions = maps * inputs
        if self._guided is not None:
            guided = self._guided.explain(inputs, zeros, extra_inputs=extra_inputs, batch_size=batch_size)
            contributions = maps * guided.contributions
        return _compared_with_nothing(self._maps, output, contributions)

    def _map(self, values: Tensor, gradients: Tensor, length: int) -> Tensor:
        """Return the map at the input's positions, (n, 1, length)."""
        if values.dim() != 3:
            raise InputError(
                f"its output has the shape (n, {', '.join(map(str, values.shape[1:]))})",
                where=f"layer {self._layer}",
                remedy="choose a layer whose output is (n, channel, position)",
            )
        weights = gradients.mean(2, keepdim=True)
        coarse = (weights * values).sum(1, keepdim=True).clamp(min=0)
        return interpolate(coarse, size=length, mode="linear", align_corners=False)


def _compared_with_nothing(
    explainer: Explainer,
    output: Tensor,
    contributions: Tensor,
    hypothetical: Tensor | None = None,
    bases: Tensor | None = None,
) -> Attribution:
    dtype, none = explainer.dtype, torch.zeros((len(output), 0), dtype=explainer.dtype)
    return Attribution(
        contributions=contributions.to(dtype),
        hypothetical=None if hypothetical is None else hypothetical.to(dtype),
        standard_error=torch.full((len(output), contributions.shape[2]), torch.nan, dtype=dtype),
        multipliers=None,
        output=output.to(dtype),
        reference_output=none,
        convergence_error=none,
        target=explainer.target_names[0],
        bases=bases,
    )
