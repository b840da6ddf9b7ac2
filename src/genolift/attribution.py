"""The public attribution functions and their result: engine and targets joined. Prints nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.convergence import relative_error
from genolift.engine.capture import capture
from genolift.engine.graph import Graph
from genolift.engine.job import Job, Path, Sums, as_tensor
from genolift.engine.plan import GENOMICS_DEFAULT, Plan, make_plan, step_over_final_activation
from genolift.engine.run import Runner, check_rows_are_independent
from genolift.errors import InputError
from genolift.targets import Column, Target, Whole, task_number

Model = nn.Module | ExportedProgram
References = Tensor | NDArray[Any] | Callable[[Tensor], Tensor]
"""(n, r, *event), (r, *event), or a reference of `genolift.references`, which makes them."""
PRECISIONS = ("float32", "float64", "tf32", "bfloat16")

# Small batches, whose values stay near the processor, are run faster than large ones (benchmarks/README.md).
_CPU_BATCH_BYTES = 128 * 2**20
_SHARE_OF_FREE_MEMORY = 0.5


@dataclass(frozen=True)
class Attribution:
    """Contributions of n inputs, each against r references. All tensors are on the CPU."""

    contributions: Tensor
    """(n, *event): mean over references of multiplier x (input - reference), in units of the target."""
    hypothetical: Tensor | None
    """(n, 4, length): what each base would have contributed there; None if inputs are not one-hot."""
    standard_error: Tensor
    """(n, length): of the per-base contribution over references; NaN with one reference."""
    multipliers: Tensor | None
    """(n, r, *event), or None if they were not asked for."""
    output: Tensor
    """(n,): the target on the inputs."""
    reference_output: Tensor
    """(n, r): the target on the references."""
    convergence_error: Tensor
    """(n, r): abs(sum of contributions - (output - reference output))."""

    @property
    def relative_convergence_error(self) -> Tensor:
        """(n, r): the convergence error over the size of the difference that is explained."""
        values = self.output, self.reference_output, self.convergence_error
        return torch.from_numpy(relative_error(*(value.numpy() for value in values)))


def deeplift(
    model: Model,
    inputs: Tensor,
    references: References,
    *,
    rule: str = GENOMICS_DEFAULT,
    target: Target = 0,
    extra_inputs: tuple[Tensor, ...] = (),
    keep_multipliers: bool = False,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool | Callable[[int], None] = False,
) -> Attribution:
    """Return the DeepLIFT contributions of every base to a model's output.

    Parameters
    ----------
    model
        The model as its author wrote it, or an exported program with a dynamic first axis. It is not
        changed, hooked or put in another mode; it is explained as in evaluation mode.
    inputs
        (n, *event); for DNA (n, 4, length) one-hot in the order A C G T, zero at an N.
    references
        What the inputs are compared with: (n, r, *event); or (r, *event), the same r for every input; or a
        reference of `genolift.references`.
    rule
        "rescale", "revealcancel", "genomics-default" (Rescale on an activation fed by a convolution,
        RevealCancel on one fed by a dense layer), "gradient", "guided-backprop" or "deconvnet".
    target
        The column of a (n, tasks) output, a task's name, or a function of the output that returns (n,). A
        final sigmoid or softmax is stepped over where the target is a column: the logit is explained.
    extra_inputs
        Further arguments of the model, (n, ...), held the same in input and reference.
    keep_multipliers
        Return the multipliers of every pair.
    batch_size
        Sequence-reference pairs computed at a time; None chooses it from the memory there is.
    device
        Where to compute; None takes a GPU where there is one.
    precision
        "float32", "float64", "tf32" (a GPU's matrix units), or "bfloat16" for weighted layers.
    progress
        Show a progress bar, or a function called with the number of pairs done since the last call.

    Returns
    -------
    Attribution

    Raises
    ------
    UnsupportedOperation
        If the model holds an operation that no exact rule is known for; before anything is computed.
    InputError
        If shapes do not fit each other or the model, a value is NaN, or an argument has no such choice.

    Notes
    -----
    Shrikumar, Greenside & Kundaje 2017, "Learning Important Features Through Propagating Activation
    Differences" (arXiv 1704.02685), sections 3.1 to 3.6.
    """
    explainer = Explainer(
        model, inputs, rule=rule, target=target, extra_inputs=extra_inputs, device=device, precision=precision
    )
    return explainer.explain(
        inputs,
        references,
        extra_inputs=extra_inputs,
        keep_multipliers=keep_multipliers,
        batch_size=batch_size,
        progress=progress,
    )


def plan(model: Model, inputs: Tensor, *, rule: str = GENOMICS_DEFAULT, target: Target = 0) -> Plan:
    """Return what each operation of ``model`` is and which rule it gets, without computing contributions.

    ``print(plan(model, inputs))`` shows it as a table. Arguments and errors as in `deeplift`.
    """
    return Explainer(model, inputs, rule=rule, target=target, device="cpu").plan


def integrated_gradients(
    model: Model,
    inputs: Tensor,
    references: References,
    *,
    steps: int = 50,
    method: str = "gauss-legendre",
    target: Target = 0,
    extra_inputs: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool | Callable[[int], None] = False,
) -> Attribution:
    """Return integrated gradients: the mean gradient on the straight path from reference to input.

    Parameters
    ----------
    steps
        Points on the path.
    method
        How the integral is approximated: "gauss-legendre", "trapezoid" or "midpoint".

    model, inputs, references, target, extra_inputs, batch_size, device, precision, progress
        As in `deeplift`.

    Notes
    -----
    Result and errors are those of `deeplift`; the convergence error is the completeness
    error of the path (Sundararajan, Taly & Yan 2017, arXiv 1703.01365).
    """
    points, weights = path_points(steps, method)
    explainer = Explainer(
        model,
        inputs,
        rule="gradient",
        target=target,
        extra_inputs=extra_inputs,
        device=device,
        precision=precision,
    )
    return explainer.explain(
        inputs,
        references,
        extra_inputs=extra_inputs,
        batch_size=batch_size,
        progress=progress,
        path=tuple(zip(points.tolist(), weights.tolist(), strict=True)),
    )


def path_points(steps: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return points in [0, 1] and their weights, which sum to 1, for integrating over a path."""
    if steps < 1:
        raise InputError(f"{steps} steps", where="steps", remedy="give 1 or more")
    if method == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (points + 1) / 2, weights / 2
    if method == "midpoint":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    if method == "trapezoid" and steps > 1:
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    raise InputError(
        f"no method {method!r} with {steps} steps",
        where="method",
        remedy="choose gauss-legendre, midpoint, or trapezoid with 2 steps or more",
    )


class Explainer:
    """A model captured once, to explain many inputs of one shape."""

    def __init__(
        self,
        model: Model,
        example: Tensor,
        *,
        rule: str = GENOMICS_DEFAULT,
        target: Target = 0,
        extra_inputs: tuple[Tensor, ...] = (),
        device: str | torch.device | None = None,
        precision: str = "float32",
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(
                f"{precision!r} is no precision",
                where="precision",
                remedy=f"choose one of {', '.join(PRECISIONS)}",
            )
        self.device = chosen_device(device)
        self.precision = precision
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        rows = (
            as_tensor(example, "inputs")[:1],
            *(as_tensor(extra, "extra_inputs")[:1] for extra in extra_inputs),
        )
        if rows[0].shape[0] == 0:
            raise InputError("there is no input", where="inputs", remedy="give at least one")
        with _no_inference_mode():
            self.graph, self.target, self.stepped_over = self._capture(model, rows, target)
            self._follow(rule)
            placed = tuple(self.runner.placed(row) for row in rows)
            self._check_target(placed)
            check_rows_are_independent(self.runner, placed)

    def _follow(self, rule: str) -> None:
        self.plan = make_plan(self.graph, rule)
        half = self.precision == "bfloat16"
        self.runner = Runner(self.plan, self.device, self.dtype, half_precision=half)

    def with_rule(self, rule: str) -> Explainer:
        """Return an explainer of the same captured model by another rule."""
        other = copy.copy(self)
        other._follow(rule)
        return other

    def _capture(
        self, model: Model, rows: tuple[Tensor, ...], target: Target
    ) -> tuple[Graph, Column | Whole, str]:
        if callable(target):
            graph = capture(model, rows, device=self.device, dtype=self.dtype, after=target)
            return graph, Whole(), ""
        number = target if isinstance(target, int) else task_number(model, target)
        graph = capture(model, rows, device=self.device, dtype=self.dtype)
        graph, stepped_over = step_over_final_activation(graph)
        return graph, Column(number), stepped_over

    def _check_target(self, rows: tuple[Tensor, ...]) -> None:
        with torch.no_grad():
            pair = tuple(torch.cat([row, row]) for row in rows)
            self.target.of(self.runner.output(self.runner.forward(pair, carry=False)))

    def explain(
        self,
        inputs: Tensor,
        references: References,
        *,
        extra_inputs: tuple[Tensor, ...] = (),
        keep_multipliers: bool = False,
        batch_size: int | None = None,
        memory: int | None = None,
        progress: bool | Callable[[int], None] = False,
        path: Path = (),
        names: list[str] | None = None,
    ) -> Attribution:
        """Return the contributions of ``inputs``; arguments as in `deeplift`.

        ``memory`` is the number of bytes to stay under when choosing the batch size; ``names`` name the
        inputs in errors; ``path`` holds (point, weight) of integrated gradients.
        """
        inputs = _checked(as_tensor(inputs, "inputs"), names)
        job = Job(self.runner, self.target, inputs, references, extra_inputs, path, names)
        size = batch_size if batch_size is not None else self.batch_size(memory)
        if size < 1:
            raise InputError(f"{size} pairs", where="batch_size", remedy="give 1 or more")
        with _progress(progress, len(inputs) * job.r) as advance, self._settings():
            sums = Sums(inputs, job.r, keep_multipliers)
            for part in job.run(size):
                sums.add(part)
                advance(part.multipliers.shape[0] * part.multipliers.shape[1])
        sums.check(names)
        return _result(sums, self.dtype)

    def batch_size(self, memory: int | None = None) -> int:
        """Return how many pairs to compute at a time, from the memory there is or is allowed, in bytes."""
        if self.device.type == "cuda":
            free = torch.cuda.mem_get_info(self.device)[0]
            budget = int(_SHARE_OF_FREE_MEMORY * free)
        else:
            budget = min(_CPU_BATCH_BYTES, int(_SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available))
        return max(1, min(budget, memory or budget) // self.runner.bytes_per_pair())

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Set what precision asks of the whole process, and set it back."""
        matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        try:
            with _no_inference_mode(), torch.no_grad():
                yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = matmul
            torch.backends.cudnn.allow_tf32 = convolution


def _result(sums: Sums, dtype: torch.dtype) -> Attribution:
    return Attribution(
        contributions=(sums.contributions / sums.r).to(dtype),
        hypothetical=None if sums.hypothetical is None else (sums.hypothetical / sums.r).to(dtype),
        standard_error=sums.standard_error().to(dtype),
        multipliers=sums.multipliers,
        output=sums.output.to(dtype),
        reference_output=sums.reference_output.to(dtype),
        convergence_error=sums.convergence_error.to(dtype),
    )


def chosen_device(device: str | torch.device | None) -> torch.device:
    """Return the device asked for, or a GPU where there is one."""
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except Exception as error:
        raise InputError(
            f"there is no device {str(device)!r} here", where="device", remedy="choose auto, cpu or cuda"
        ) from error
    return chosen


def _checked(inputs: Tensor, names: list[str] | None) -> Tensor:
    finite = torch.isfinite(inputs).flatten(1).all(1)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        raise InputError("holds NaN or infinity", where=f"sequence {names[row] if names else row}")
    return inputs


def _no_inference_mode() -> Any:
    return torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()


@contextmanager
def _progress(progress: bool | Callable[[int], None], total: int) -> Iterator[Callable[[int], None]]:
    if callable(progress):
        yield progress
    elif progress:
        from tqdm import tqdm

        with tqdm(total=total, unit="pair") as bar:
            yield lambda pairs: bar.update(pairs) and None
    else:
        yield lambda pairs: None
