"""The steps of recurrent layers, written once for tensors and for what is `Compared`.

A value here is either: both are added, subtracted, multiplied and indexed alike. Gates lie side by side on
the last axis, in torch's order.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Value = Any
State = tuple[Value, ...]
"""What a step hands on: its output, and an LSTM's memory."""
Activate = Callable[[Value], Value]
Weigh = Callable[..., Value]
"""``weigh(value, rows)`` weights what is like the last output and adds the bias, both of some rows or all."""
Cell = Callable[[Value, State, Weigh, Activate, Activate], State]
"""``cell(inputs, state, weigh, activate, gate)``: the step's inputs, already weighted and with their bias."""


def gone_through(
    times: Iterable[int],
    step: Callable[[int, State], State],
    state: State,
    output: Value | None = None,
    choose: Callable[[int, Value, Value], Value] | None = None,
) -> tuple[list[Value], State]:
    """Return the outputs of all steps, in their order, and what the last one hands on.

    Parameters
    ----------
    step
        Gives what a step hands on from what the one before does.
    output
        What a step puts out while none has counted; None where that is the output in ``state``.
    choose
        ``choose(time, new, old)`` is ``new`` where the step counts and ``old`` where a mask leaves it out;
        None where all count.
    """
    apart, outputs = output is not None, []
    for time in times:
        new = step(time, state)
        if choose is None:
            state, output = new, new[0]
        else:
            state = tuple(choose(time, *pair) for pair in zip(new, state, strict=True))
            output = choose(time, new[0], output) if apart else state[0]
        outputs.append(output)
    return outputs, state


def _lstm(inputs: Value, state: State, weigh: Weigh, activate: Activate, gate: Activate) -> State:
    hidden, memory = state
    entered, kept, candidate, shown = _parts(inputs + weigh(hidden), 4)
    memory = gate(kept) * memory + gate(entered) * activate(candidate)
    return gate(shown) * activate(memory), memory


def _gru(inputs: Value, state: State, weigh: Weigh, activate: Activate, gate: Activate) -> State:
    (hidden,) = state
    reset_in, update_in, new = _parts(inputs, 3)
    reset_on, update_on, back = _parts(weigh(hidden), 3)
    # The reset gate multiplies what is weighted, so the sum has no parts of its own to tell apart.
    candidate = activate(new + gate(reset_in + reset_on) * back)
    return (candidate + gate(update_in + update_on) * (hidden - candidate),)


def _gru_reset_first(inputs: Value, state: State, weigh: Weigh, activate: Activate, gate: Activate) -> State:
    (hidden,) = state
    both = 2 * hidden.shape[-1]
    reset, update = _parts(gate(inputs[..., :both] + weigh(hidden, slice(both))), 2)
    candidate = activate(inputs[..., both:] + weigh(reset * hidden, slice(both, None)))
    return (candidate + update * (hidden - candidate),)


def _rnn(inputs: Value, state: State, weigh: Weigh, activate: Activate, gate: Activate) -> State:
    return (activate(inputs + weigh(state[0])),)


def _parts(value: Value, number: int) -> list[Value]:
    size = value.shape[-1] // number
    return [value[..., part * size : (part + 1) * size] for part in range(number)]


CELLS: Mapping[str, Cell] = {"lstm": _lstm, "gru": _gru, "gru_reset_first": _gru_reset_first, "rnn": _rnn}
"""The kinds of layer. In "gru_reset_first" the reset gate multiplies what is weighted then."""
STATES: Mapping[str, int] = {"lstm": 2, "gru": 1, "gru_reset_first": 1, "rnn": 1}
"""How many values each kind hands on from step to step."""
