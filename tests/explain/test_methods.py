"""The other methods, each against an independent one: autograd, hooks, plain loops, custom relus."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo import network, onehot, seeded

import genolift
from genolift.engine.run.run import Runner
from genolift.explain import methods

ZEROS = torch.zeros(1, 4, 50)


class Chain(nn.Module):
    """Convolutions and dense layers around one relu that the test chooses."""

    def __init__(self, relu: Callable[[Tensor], Tensor] = torch.relu, *, bias: bool = True) -> None:
        super().__init__()
        self.relu = relu
        self.stem = nn.Conv1d(4, 6, 5, bias=bias)
        self.block = nn.Conv1d(6, 5, 3, stride=2, bias=bias)
        self.behind = nn.Identity()
        self.hidden = nn.Linear(5 * 22, 7, bias=bias)
        self.out = nn.Linear(7, 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.behind(self.relu(self.block(self.relu(self.stem(x)))))
        return self.out(self.relu(self.hidden(h.flatten(1))))


class GuidedRelu(torch.autograd.Function):
    """Springenberg et al. 2014: passes back where both the input and the incoming gradient are positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *back: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.where((x > 0) & (back[0] > 0), back[0], torch.zeros_like(x))


class DeconvnetRelu(torch.autograd.Function):
    """Zeiler & Fergus 2013: passes back where the incoming gradient is positive, whatever the input was."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *back: Tensor) -> Tensor:
        return torch.where(back[0] > 0, back[0], torch.zeros_like(back[0]))


def gradient(model: nn.Module, x: Tensor, target: int) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(model(leaf)[:, target].sum(), leaf)[0]


def close(ours: Tensor, theirs: Tensor, relative: float = 1e-5) -> None:
    torch.testing.assert_close(ours, theirs, rtol=relative, atol=relative * float(theirs.abs().max()))


# Gradients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "relu"),
    [("gradient", torch.relu), ("guided-backprop", GuidedRelu.apply), ("deconvnet", DeconvnetRelu.apply)],
)
def test_a_gradient_rule_is_autograd_with_its_own_relu(rule: str, relu: Callable[[Tensor], Tensor]) -> None:
    x = onehot(4)
    by_hand = gradient(seeded(lambda: Chain(relu)), x, 1)
    result = genolift.deeplift(seeded(Chain), x, ZEROS, rule=rule, target=1, keep_multipliers=True)
    assert result.multipliers is not None
    close(result.multipliers[:, 0], by_hand)
    close(result.contributions, by_hand * x)


def test_the_three_gradient_rules_differ_on_that_network() -> None:
    x = onehot(4)
    found = [
        genolift.deeplift(seeded(Chain), x, ZEROS, rule=rule).contributions
        for rule in ("gradient", "guided-backprop", "deconvnet")
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert float((found[one] - found[other]).norm() / found[other].norm()) > 0.3


def test_gradient_times_input_is_autograds() -> None:
    x, model = onehot(3), network("gelu", "max")
    result = genolift.gradient_times_input(model, x, target=1)
    close(result.contributions, gradient(model, x, 1) * x)
    assert result.hypothetical is not None
    close(result.hypothetical, gradient(model, x, 1))
    assert result.reference_output.shape == (3, 1)
    close(result.reference_output[:, 0], model(ZEROS)[:, 1].detach().expand(3))


# Integrated gradients --------------------------------------------------------------------------------------

# Gauss-Legendre's three points by hand; the trapezoid rule's five.
NODE = math.sqrt(3 / 5) / 2
QUADRATURES = {
    ("gauss-legendre", 3): ((0.5 - NODE, 5 / 18), (0.5, 8 / 18), (0.5 + NODE, 5 / 18)),
    ("trapezoid", 5): ((0.0, 1 / 8), (0.25, 1 / 4), (0.5, 1 / 4), (0.75, 1 / 4), (1.0, 1 / 8)),
}


@pytest.mark.parametrize("steps", [0, 2.5])
def test_a_path_has_a_whole_number_of_points(steps: Any) -> None:
    with pytest.raises(genolift.InputError, match="give a whole number of 1 or more"):
        genolift.integrated_gradients(network(), onehot(1), ZEROS, steps=steps)


@pytest.mark.parametrize(("method", "steps"), QUADRATURES)
def test_integrated_gradients_are_the_sum_of_gradients_on_the_path(method: str, steps: int) -> None:
    x, references = onehot(3).double(), torch.stack([onehot(3, seed=1), onehot(3, seed=2)], 1).double()
    model = network("relu", "max").double()
    result = genolift.integrated_gradients(
        model, x, references, steps=steps, method=method, target=1, precision="float64"
    )
    expected = torch.zeros(2, 3, 4, 50, dtype=torch.float64)
    for k in range(2):
        change = x - references[:, k]
        for point, weight in QUADRATURES[method, steps]:
            expected[k] += weight * gradient(model, references[:, k] + point * change, 1) * change
    close(result.contributions, expected.mean(0), 1e-10)
    with torch.no_grad():
        output, at_reference = model(x)[:, 1], torch.stack([model(references[:, k])[:, 1] for k in (0, 1)])
    missed = (expected.sum((2, 3)) - (output - at_reference)).abs()
    assert float(missed.max()) > 1e-3
    torch.testing.assert_close(result.convergence_error, missed.T, rtol=1e-6, atol=1e-12)


# LRP-epsilon -----------------------------------------------------------------------------------------------


def relevance(x: Tensor, weight: Tensor, bias: Tensor, arrived: Tensor, epsilon: float) -> Tensor:
    """R_i = sum_j x_i w_ij R_j / (z_j + eps sign z_j), z_j = sum_i x_i w_ij + b_j; (i,) from R (j,)."""
    z = weight @ x + bias
    z = z + epsilon * torch.where(z < 0, -1.0, 1.0)
    return torch.stack(
        [sum(x[i] * weight[j, i] * arrived[j] / z[j] for j in range(len(z))) for i in range(len(x))]
    )


def as_matrix(layer: nn.Conv1d, positions: int) -> tuple[Tensor, Tensor, int]:
    """A convolution as a dense layer of (channel, position) flattened."""
    channels = layer.in_channels
    columns = torch.eye(channels * positions, dtype=torch.float64).reshape(-1, channels, positions)
    assert layer.bias is not None
    with torch.no_grad():
        image = layer(columns) - layer.bias[:, None]
    return image.flatten(1).T, layer.bias.detach().repeat_interleave(image.shape[2]), image.shape[2]


class Short(nn.Module):
    """A convolution and two dense layers with biases, for sequences of 10."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.activation = activation
        self.conv, self.hidden, self.out = nn.Conv1d(4, 3, 3), nn.Linear(24, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.activation(self.hidden(self.activation(self.conv(x)).flatten(1))))


@pytest.mark.parametrize("activation", [torch.relu, torch.tanh, F.softplus])
def test_lrp_epsilon_is_the_formula_of_relevances_on_a_network_with_biases(
    activation: Callable[[Tensor], Tensor],
) -> None:
    model, x = seeded(lambda: Short(activation)).double(), onehot(2, length=10).double()
    assert isinstance(model, Short)
    result = genolift.deeplift(
        model, x, torch.zeros(1, 4, 10), rule="lrp-epsilon", target=1, precision="float64"
    )
    weight, bias, _ = as_matrix(model.conv, 10)
    for row in range(2):
        first = x[row].flatten()
        second = activation(weight @ first + bias)
        third = activation(model.hidden(second)).detach()
        # The seed is the output itself, and the last layer's share has no epsilon.
        out = model.out.weight[1:].detach(), model.out.bias[1:].detach()
        arrived = relevance(third, *out, model.out(third)[1:].detach(), 0.0)
        arrived = relevance(second, model.hidden.weight.detach(), model.hidden.bias.detach(), arrived, 1e-7)
        arrived = relevance(first, weight, bias, arrived, 1e-7)
        close(result.contributions[row].flatten(), arrived, 1e-9)
    times_input = gradient(model, x, 1) * x
    # For a relu, y / z is its slope, with or without biases; any other function distinguishes the two rules.
    difference = float((result.contributions - times_input).norm() / times_input.norm())
    assert difference < 1e-5 if activation is torch.relu else difference > 0.03


@pytest.mark.parametrize(
    "pool", [nn.Identity(), nn.MaxPool1d(2), nn.AvgPool1d(2)], ids=["none", "max", "mean"]
)
def test_lrp_epsilon_is_gradient_x_input_on_relu_networks_without_biases(pool: nn.Module) -> None:
    width = 22 if isinstance(pool, nn.Identity) else 11

    def make() -> nn.Module:
        return nn.Sequential(
            nn.Conv1d(4, 6, 5, bias=False), nn.ReLU(), nn.Conv1d(6, 5, 3, stride=2, bias=False), nn.ReLU(),
            pool, nn.Flatten(), nn.Linear(5 * width, 7, bias=False), nn.ReLU(), nn.Linear(7, 2, bias=False),
        )  # fmt: skip

    x, model = onehot(4).double(), seeded(make).double()
    result = genolift.deeplift(model, x, ZEROS, rule="lrp-epsilon", precision="float64")
    close(result.contributions, gradient(model, x, 0) * x, 1e-4)


# In-silico mutagenesis -------------------------------------------------------------------------------------


def plain_loop(model: nn.Module, x: Tensor, target: int, *held: Tensor) -> Tensor:
    """f for every sequence with every base at every position, (n, 4, length)."""
    effects = torch.zeros(x.shape, dtype=torch.float64)
    with torch.no_grad():
        for row in range(x.shape[0]):
            for position in range(x.shape[2]):
                for base in range(4):
                    mutated = x[row : row + 1].clone()
                    mutated[0, :, position] = 0
                    mutated[0, base, position] = 1
                    output = model(mutated, *(tensor[row : row + 1] for tensor in held))
                    effects[row, base, position] = output[0, target]
    return effects


def with_n(x: Tensor) -> Tensor:
    """The sequences with an N at the start of the first and within the last."""
    x = x.clone()
    x[0, :, 0] = 0
    x[-1, :, 3] = 0
    return x


class Wide(nn.Module):
    """A convolution and two dense layers over all positions, so that every base counts."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 5, 3, padding=1)
        self.hidden, self.out = nn.Linear(5 * length, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.hidden(torch.tanh(self.conv(x)).flatten(1))))


class Sorted(nn.Module):
    """Sorts, for which there is no rule."""

    def forward(self, x: Tensor) -> Tensor:
        weighted = (x * torch.tensor([0.3, -1.0, 0.7, 2.0]).to(x)[:, None]).sum(1)
        weighted = weighted * torch.linspace(1, 2, x.shape[2]).to(x)
        return weighted.sort(1)[0][:, ::7]


def test_mutagenesis_is_that_of_a_plain_loop() -> None:
    x, model = with_n(onehot(3, length=20)), seeded(lambda: Wide(20))
    effects = plain_loop(model, x, 1)
    result = genolift.in_silico_mutagenesis(model, x, target=1, device="cpu")
    expected = (effects - effects.mean(1, keepdim=True)).float()
    assert result.hypothetical is not None
    close(result.hypothetical, expected)
    close(result.contributions, expected * x)
    assert result.contributions[0, :, 0].tolist() == [0, 0, 0, 0]
    assert result.contributions[2, :, 3].tolist() == [0, 0, 0, 0]
    assert float(result.hypothetical[0, :, 0].abs().max()) > 0
    with torch.no_grad():
        close(result.output, model(x)[:, 1])


def test_differences_within_a_column_are_the_raw_effects_of_substitutions() -> None:
    x, model = onehot(2, length=20), seeded(lambda: Wide(20))
    hypothetical = genolift.in_silico_mutagenesis(model, x, target=1, device="cpu").hypothetical
    assert hypothetical is not None
    there = (hypothetical * x).sum(1, keepdim=True)
    with torch.no_grad():
        raw = plain_loop(model, x, 1) - model(x)[:, 1, None, None]
    close(hypothetical - there, raw.float(), 1e-4)


@pytest.mark.parametrize("batch_size", [1, 7, 59, 60, 61, 1000])
def test_mutagenesis_does_not_depend_on_the_batch_size(batch_size: int) -> None:
    x, model = with_n(onehot(3, length=20)), seeded(lambda: Wide(20))
    explainer = methods.Mutagenesis(model, x, device="cpu")
    done: list[int] = []
    result = explainer.explain(x, batch_size=batch_size, progress=done.append)
    close(result.contributions, explainer.explain(x).contributions)
    assert sum(done) == 3 * 60 + 2  # three for each base present, four for each of two N


def test_a_batch_that_does_not_fit_the_memory_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    x, model = onehot(3, length=20), seeded(lambda: Wide(20))
    explainer = methods.Mutagenesis(model, x, device="cpu")
    whole = explainer.explain(x)
    forward, rows, most = Runner.forward, [], 10

    def tight(self: Runner, inputs: tuple[Tensor, ...], *, carry: bool) -> Any:
        rows.append(len(inputs[0]))
        if len(inputs[0]) > most:
            raise torch.OutOfMemoryError("made up")
        return forward(self, inputs, carry=carry)

    monkeypatch.setattr(Runner, "forward", tight)
    close(explainer.explain(x, batch_size=64).contributions, whole.contributions)
    assert max(rows) > most > 4
    most = 0
    with pytest.raises(
        genolift.InputError, match="device cpu: one sequence does not fit the device's memory"
    ):
        explainer.explain(x)


@pytest.mark.parametrize(("precision", "near"), [("float64", 1e-5), ("bfloat16", 0.05)])
def test_mutagenesis_is_computed_in_the_precision_asked_for(precision: str, near: float) -> None:
    x, model = onehot(2, length=20), seeded(lambda: Wide(20))
    single, other = (
        genolift.in_silico_mutagenesis(model, x, precision=chosen, device="cpu").contributions
        for chosen in ("float32", precision)
    )
    close(other.float(), single, near)
    assert not torch.equal(other.float(), single)
    assert other.dtype == (torch.float64 if precision == "float64" else torch.float32)


def test_mutagenesis_in_bfloat16_rounds_a_layer_that_a_batch_norm_is_folded_into() -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv1d(4, 8, 5), nn.BatchNorm1d(8)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.conv(x)).square().mean((1, 2))[:, None]

    model, x = seeded(Normalised), onehot(2)
    half, single = (
        genolift.in_silico_mutagenesis(model, x, precision=precision, device="cpu").output
        for precision in ("bfloat16", "float32")
    )
    assert float((half - single).abs().max()) > 1e-5


def test_mutagenesis_compares_with_nothing_and_says_so() -> None:
    result = genolift.in_silico_mutagenesis(network(), onehot(2), device="cpu")
    assert result.reference_output.shape == result.convergence_error.shape == (2, 0)
    assert result.relative_convergence_error.shape == (2, 0)
    assert result.standard_error.shape == (2, 50)
    assert bool(result.standard_error.isnan().all())
    assert result.multipliers is None
    assert result.output.dtype == result.contributions.dtype == torch.float32


def test_mutagenesis_needs_no_rules() -> None:
    x, model = onehot(2, length=20), Sorted()
    with pytest.raises(genolift.UnsupportedOperation):
        genolift.deeplift(model, x, torch.zeros(1, 4, 20))
    result = genolift.in_silico_mutagenesis(model, x, target=2, device="cpu")
    effects = plain_loop(model, x, 2)
    assert result.hypothetical is not None
    close(result.hypothetical, (effects - effects.mean(1, keepdim=True)).float())


def test_mutagenesis_explains_the_logit_or_on_demand_the_probability() -> None:
    x, model = onehot(2, length=20), nn.Sequential(seeded(lambda: Wide(20)), nn.Sigmoid())
    logit = genolift.in_silico_mutagenesis(model, x, device="cpu")
    close(logit.output, model[0](x)[:, 0].detach())
    probability = genolift.in_silico_mutagenesis(model, x, keep_final_activation=True, device="cpu")
    effects = plain_loop(model, x, 0)
    assert probability.hypothetical is not None
    close(probability.hypothetical, (effects - effects.mean(1, keepdim=True)).float())


def test_mutagenesis_holds_the_further_arguments_of_each_sequence() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = Wide(20)

        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return self.network(x) * scale

    x, scale, model = onehot(3, length=20), torch.tensor([[1.0], [-2.0], [0.5]]), seeded(Scaled)
    result = genolift.in_silico_mutagenesis(model, x, extra_inputs=(scale,), batch_size=50, device="cpu")
    effects = plain_loop(model, x, 0, scale)
    assert result.hypothetical is not None
    close(result.hypothetical, (effects - effects.mean(1, keepdim=True)).float())


def test_a_profiles_weights_are_held_under_mutation() -> None:
    class Profile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(4, 1, 5)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            logits = 3 * torch.tanh(self.conv(x))
            return logits, logits.sum(2)

    x, model = onehot(2, length=20), seeded(Profile)

    def centred(onehots: Tensor) -> Tensor:
        logits = model(onehots)[0][:, 0].detach()
        return logits - logits.mean(1, keepdim=True)

    result = genolift.in_silico_mutagenesis(model, x, target="profile", batch_size=13, device="cpu")
    assert result.hypothetical is not None
    effects = torch.zeros(2, 4, 20)
    for row in range(2):
        held = centred(x[row : row + 1]).softmax(1)[0]
        for position in range(20):
            for base in range(4):
                mutated = x[row : row + 1].clone()
                mutated[0, :, position] = 0
                mutated[0, base, position] = 1
                effects[row, base, position] = (held * centred(mutated)[0]).sum()
        torch.testing.assert_close(result.output[row], (held * centred(x[row : row + 1])[0]).sum())
    close(result.hypothetical, effects - effects.mean(1, keepdim=True))


@pytest.mark.parametrize("inputs", [torch.rand(2, 4, 50), torch.zeros(2, 5, 50), torch.ones(2, 4, 50)])
def test_what_has_no_bases_cannot_be_mutated(inputs: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 1))
    with pytest.raises(genolift.InputError, match=r"inputs: is not one-hot.*give \(n, 4, length\)"):
        genolift.in_silico_mutagenesis(model, inputs, device="cpu")


def test_an_output_that_is_not_finite_names_the_sequence() -> None:
    class Divided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 1 / x[:, :1].sum(2)

    x = onehot(3, length=20)
    x[2] = 0
    x[2, 0, 4] = x[2, 1, 5:] = 1  # with the only A substituted, the output is infinite
    with pytest.raises(
        genolift.InputError, match="sequence 2 with a substitution in it: the model's output is"
    ):
        genolift.in_silico_mutagenesis(Divided(), x, device="cpu")


# Grad-CAM --------------------------------------------------------------------------------------------------

MAPPED = 7  # a seed for which maps are above 0 at some positions but not all


def grad_cam_by_hooks(model: nn.Module, layer: nn.Module, x: Tensor, target: int) -> Tensor:
    """The map interpolated to the input's positions, (n, length), from a layer's output as hooks see it."""
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    output = model(x)[:, target].sum()
    hook.remove()
    (values,) = seen
    (gradients,) = torch.autograd.grad(output, values)
    n, channels, positions = values.shape
    maps = torch.zeros(n, positions)
    for row in range(n):
        for channel in range(channels):
            maps[row] += gradients[row, channel].mean() * values[row, channel].detach()
    return linear(maps.clamp(min=0), x.shape[2])


def linear(maps: Tensor, length: int) -> Tensor:
    """Each base's value, interpolated between its two neighbouring cells' centres; constant at the ends."""
    positions = maps.shape[1]
    centre = ((torch.arange(length) + 0.5) * positions / length - 0.5).clamp(0, positions - 1)
    left = centre.floor().long()
    right = (left + 1).clamp(max=positions - 1)
    return maps[:, left] + (centre - left) * (maps[:, right] - maps[:, left])


@pytest.mark.parametrize(
    ("layer", "name"), [("behind", "last-convolution"), ("block", "block"), ("stem", "stem")]
)
def test_grad_cam_is_that_of_hooks(layer: str, name: str) -> None:
    x, model = with_n(onehot(4)), seeded(Chain, MAPPED)
    expected = grad_cam_by_hooks(model, getattr(model, layer), x, 0)[:, None] * x
    result = genolift.grad_cam(model, x, layer=name, device="cpu")
    assert float(expected.abs().max()) > 0
    close(result.contributions, expected)
    with torch.no_grad():
        close(result.output, model(x)[:, 0])
    assert result.hypothetical is None
    assert result.reference_output.shape == result.convergence_error.shape == (4, 0)
    assert bool(result.standard_error.isnan().all())


def test_guided_grad_cam_is_the_map_times_guided_backprop() -> None:
    x, model, guided = onehot(4), seeded(Chain, MAPPED), seeded(lambda: Chain(GuidedRelu.apply), MAPPED)
    expected = grad_cam_by_hooks(model, model.behind, x, 0)[:, None] * gradient(guided, x, 0) * x
    result = genolift.grad_cam(model, x, guided=True, device="cpu")
    assert float(expected.abs().max()) > 0
    close(result.contributions, expected)


def test_grad_cam_does_not_depend_on_the_batch_size() -> None:
    x, model = onehot(5), seeded(Chain, MAPPED)
    whole, parts = (
        genolift.grad_cam(model, x, guided=True, batch_size=size, device="cpu").contributions
        for size in (9, 2)
    )
    assert float(whole.abs().max()) > 0
    close(whole, parts)


def test_grad_cam_refuses_a_layer_without_positions() -> None:
    with pytest.raises(genolift.InputError, match=r"layer hidden: .*\(n, 7\).*\(n, channel, position\)"):
        genolift.grad_cam(seeded(Chain, MAPPED), onehot(2), layer="hidden", device="cpu")


def test_grad_cam_refuses_inputs_without_positions() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    with pytest.raises(genolift.InputError, match=r"inputs: have the shape \(2, 4\); give \(n, 4, length\)"):
        genolift.grad_cam(model, torch.rand(2, 4), layer="0", device="cpu")
