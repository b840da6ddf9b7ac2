"""Small modules, written the ways people write them.

Each is a convolution of (n, 4, 30) to six channels, one construct to test, and a dense head with two
outputs. `zoo.py` has the activations and pools that are not repeated here. Does not use rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from modules_with_weights import LAYERS, MODELS
from torch import Tensor, nn
from zoo import seeded

LENGTH = 30
CHANNELS = 6


class Around(nn.Module):
    """A convolution, any function of its output (n, 6, 30), and a dense head."""

    def __init__(self, inner: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, CHANNELS, 5, padding=2)
        self.inner = inner
        with torch.no_grad():
            features = inner(self.stem(torch.rand(2, 4, LENGTH))).flatten(1).shape[1]
        self.head = nn.Sequential(nn.Linear(features, 5), nn.ELU(), nn.Linear(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(self.stem(x)).flatten(1))


def in_place(h: Tensor) -> Tensor:
    h = h.relu_() + 0
    h += h.flip(2).sigmoid()
    h *= 2
    h[:, 0].mul_(0.5)
    return h.sub_(0.1).clamp_(max=3)


def viewed(h: Tensor) -> Tensor:
    h = h.view(h.shape[0], 2, 3, -1).permute(0, 2, 3, 1).unflatten(2, (5, 6)).movedim(2, 4)
    return h.tanh().contiguous().view(h.size(0), -1).reshape(-1, 15, 12).mT


def stacked(h: Tensor) -> Tensor:
    return torch.stack([part.tanh() * (index + 1) for index, part in enumerate(h.unbind(1))], dim=-1)


def chunked(h: Tensor) -> Tensor:
    first, second = h.chunk(2, dim=1)
    third, *_ = torch.tensor_split(h, 3, dim=2)
    return torch.cat([first + second.relu(), torch.hstack([third, third.exp()])[:, :3]], dim=2)


def einsum_constant(h: Tensor) -> Tensor:
    mixing = torch.linspace(-1, 1, CHANNELS * 4, dtype=h.dtype).view(CHANNELS, 4)
    return torch.einsum("ncl,cd->nld", h, mixing).relu()


def einsum_two(h: Tensor) -> Tensor:
    return torch.einsum("ncl,ndl->ncd", h, h.tanh())


def outer_product(h: Tensor) -> Tensor:
    pooled = h.mean(-1)
    return torch.bmm(pooled[:, :, None], pooled.sigmoid()[:, None, :])


def attention_by_hand(h: Tensor) -> Tensor:
    q, k, v = h.transpose(1, 2).split(2, dim=-1)
    weights = F.softmax(q @ k.transpose(-2, -1) / math.sqrt(2), dim=-1)
    return weights @ v


def causal_attention(h: Tensor) -> Tensor:
    q, k, v = h.transpose(1, 2).chunk(3, dim=-1)
    later = torch.ones(h.shape[-1], h.shape[-1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT).masked_fill(later, float("-inf"))
    return scores.softmax(-1) @ v


def heads(h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = h.transpose(1, 2).unflatten(-1, (3, 1, 2)).permute(2, 0, 3, 1, 4)
    return q, k, v


def scaled_dot_product(h: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(*heads(h))


def scaled_dot_product_masked(h: Tensor) -> Tensor:
    mask = torch.zeros(h.shape[-1], h.shape[-1], dtype=torch.bool)
    mask[:, ::2] = True
    mask[3] = False  # one position attends to nothing
    return F.scaled_dot_product_attention(*heads(h), attn_mask=mask)


def local_window(h: Tensor) -> Tensor:
    place = torch.arange(h.shape[-1], device=h.device)
    far = (place[:, None] - place[None, :]).abs() > 4
    scores = torch.einsum("ncl,ncm->nlm", h, h)
    return scores.masked_fill(far, torch.finfo(h.dtype).min).softmax(-1) @ h.mT


def standardised(h: Tensor) -> Tensor:
    return (h - h.mean(-1, keepdim=True)) / (h.std(-1, keepdim=True) + 1e-3)


def divided_by_norm(h: Tensor) -> Tensor:
    return h / h.norm(dim=1, keepdim=True)


def softmax_temperature(h: Tensor) -> Tensor:
    weights = torch.softmax(h * 3, dim=2)
    return (weights * h).sum(-1)


def min_by_max(h: Tensor) -> Tensor:
    return torch.cat([-torch.max(-h, dim=2)[0], h.min(2).values, h.amin((1, 2))[:, None]], 1)


def max_of_branches(h: Tensor) -> Tensor:
    return torch.maximum(h, h.flip(1, 2)) + torch.minimum(h, h.roll(1, 2).tanh())


def overlapping_pools(h: Tensor) -> Tensor:
    one = F.max_pool1d(h, 5, stride=2, padding=2)
    other = F.max_pool1d(h, 3, stride=2, dilation=2, ceil_mode=True)
    return torch.cat([one, other, F.adaptive_max_pool1d(h, 7), F.lp_pool1d(h.abs() + 1, 2, 5)], 2)


def pools_of_images(h: Tensor) -> Tensor:
    one = F.max_pool2d(h[:, None], (3, 4), stride=(1, 2), padding=(1, 1), dilation=(1, 2), ceil_mode=True)
    other = F.adaptive_max_pool2d(h.view(-1, 2, 3, 30), (2, 7))
    return torch.cat([one.flatten(1), other.flatten(1), F.avg_pool2d(h[:, None], 3, 2, 1).flatten(1)], 1)


def masked_constant(h: Tensor) -> Tensor:
    edge = torch.zeros(h.shape[-1], dtype=torch.bool)
    edge[:4] = edge[-4:] = True
    return h.masked_fill(edge, 0).relu() + torch.where(edge, h.tanh(), h.new_tensor(0.5))


def steps(h: Tensor) -> Tensor:
    return h.sign() + torch.floor(3 * h) + torch.round(2 * h) + h.trunc() + h.frac() + h.ceil()


def twin(h: Tensor) -> Tensor:
    return torch.cat([torch.maximum(h, h.flip(-1)), (h + torch.flip(h, [1, 2])) / 2], 1)


def interpolated(h: Tensor) -> Tensor:
    nearest = F.interpolate(h, scale_factor=2, mode="nearest")
    linear = F.interpolate(h, size=45, mode="linear", align_corners=False)
    corners = F.interpolate(h.relu(), 20, mode="linear", align_corners=True)
    area = F.interpolate(h, 11, mode="area")
    return torch.cat([nearest, linear, corners, area], 2).tanh()


def interpolated_images(h: Tensor) -> Tensor:
    bilinear = F.interpolate(h[:, None], size=(9, 40), mode="bilinear", align_corners=False)
    nearest = F.interpolate(h[:, None], scale_factor=(1, 2), mode="nearest")
    return torch.cat([bilinear.flatten(1), nearest.flatten(1)], 1)


def shuffled_pixels(h: Tensor) -> Tensor:
    image = h.reshape(-1, 4, 9, 5)
    windows = F.unfold(image, (3, 2), padding=1, stride=2)
    back = F.fold(F.unfold(image, 3), (9, 5), 3)
    return torch.cat([F.pixel_shuffle(image, 2).flatten(1), windows.flatten(1), back.flatten(1)], 1)


def sliding_windows(h: Tensor) -> Tensor:
    return h.unfold(2, 6, 3).amax(-1)


def padded_otherwise(h: Tensor) -> Tensor:
    reflected = F.pad(h, (3, 2), mode="reflect")
    replicated = F.pad(h, (1, 4), mode="replicate")
    circular = F.pad(h, (4, 1), mode="circular")
    return torch.tanh(reflected + replicated + circular) + F.pad(h, (2, 3), value=-1.0)


def conv2d_inside(h: Tensor) -> Tensor:
    kernel = torch.linspace(-1, 1, 2 * 6 * 3, dtype=h.dtype).view(2, 1, 6, 3)
    return F.conv2d(h.unsqueeze(1), kernel, padding=(0, 1)).squeeze(2).relu()


def constant_index(h: Tensor) -> Tensor:
    rows = torch.tensor([[0, 2], [5, 1]])
    columns = torch.tensor([3, -1])
    some = h[:, rows, columns].flatten(1)
    gathered = h.gather(2, torch.arange(4).view(1, 1, 4).expand(h.shape[0], CHANNELS, 4))
    taken = torch.index_select(h, 2, torch.tensor([7, 7, 0]))
    return torch.cat([some, gathered.flatten(1), taken.flatten(1), h[..., [1, 0], :].flatten(1)], 1)


def written_slices(h: Tensor) -> Tensor:
    out = torch.zeros(h.shape[0], 9, h.shape[2])
    out[:, :3] = h[:, :3].relu()
    out[:, 4:7, ::2] = h[:, 3:, ::2]
    out[:, 8] = 1.5
    out[:, [3, 7]] += h[:, :2]
    return out


def written_into_like(h: Tensor) -> Tensor:
    out = torch.empty_like(h)
    for position in range(0, 30, 10):
        out[..., position : position + 10] = h[..., position : position + 10].cumsum(-1)
    return out


def with_positions(h: Tensor) -> Tensor:
    place = torch.linspace(0, 1, h.shape[-1]).expand(h.shape[0], 1, -1)
    waves = torch.sin(torch.arange(h.shape[-1]) / 10).to(h)
    return torch.relu(torch.cat([h + waves, place], dim=1))


def scanned(h: Tensor) -> Tensor:
    return torch.cat([h.cumsum(2), h.roll((3, 1), (2, 1)), h.diff(dim=2), h.relu().cumsum(-1).flip(-1)], 2)


def filtered_by_fft(h: Tensor) -> Tensor:
    kernel = torch.exp(-torch.arange(h.shape[-1], dtype=h.dtype) / 5)
    spectrum = torch.fft.rfft(h, n=60) * torch.fft.rfft(kernel, n=60)
    return torch.fft.irfft(spectrum, n=60)[..., : h.shape[-1]].relu()


def power_spectrum(h: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(h, norm="ortho")
    return spectrum.real**2 + spectrum.imag**2


def gathered_sums(h: Tensor) -> Tensor:
    group = (torch.arange(h.shape[-1]) % 4).expand_as(h)
    total = torch.ones(h.shape[0], CHANNELS, 5).scatter_reduce(2, group, h, "sum")
    mean = torch.ones(h.shape[0], CHANNELS, 5).scatter_reduce(2, group, h, "mean", include_self=False)
    return torch.cat([total, mean.tanh()], 1)


def moments(h: Tensor) -> Tensor:
    return torch.cat(
        [
            h.std(-1),
            h.var(2, unbiased=False),
            h.var((1, 2))[:, None],
            *torch.var_mean(h, 2),
            h.square().mean(-1),
        ],
        1,
    )


def products(h: Tensor) -> Tensor:
    return torch.cat([(1 + 0.3 * h).prod(-1), h[..., :4].prod(2), torch.prod(h[:, :3], 1).tanh()], 1)


def unrolled_recurrence(h: Tensor) -> Tensor:
    state = torch.zeros(h.shape[0], CHANNELS)
    for position in range(0, h.shape[-1], 4):
        state = torch.tanh(0.5 * state + h[..., position])
    return state


def scalar_loop(h: Tensor) -> Tensor:
    return sum((h[:, channel] ** (channel % 3 + 1) for channel in range(CHANNELS)), torch.zeros(1))


def ratio_of_branches(h: Tensor) -> Tensor:
    return h / (h.flip(1).abs() + 0.5) + 1 / (1 + h.exp()) + 2.0 / (3 + h.sigmoid())


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "in place": in_place,
    "view, permute, unflatten, movedim": viewed,
    "stack and unbind": stacked,
    "chunk and tensor_split": chunked,
    "einsum with a constant": einsum_constant,
    "einsum of two": einsum_two,
    "outer product by bmm": outer_product,
    "glu": lambda h: F.glu(h, dim=1),
    "attention by hand": attention_by_hand,
    "attention masked with -inf": causal_attention,
    "scaled_dot_product_attention": scaled_dot_product,
    "scaled_dot_product_attention with a mask": scaled_dot_product_masked,
    "scaled_dot_product_attention, causal": lambda h: F.scaled_dot_product_attention(
        *heads(h), is_causal=True
    ),
    "attention in a window": local_window,
    "softmax over channels, log": lambda h: torch.log(h.softmax(1) + 1e-6),
    "log_softmax and logsumexp": lambda h: h.log_softmax(1) + h.logsumexp(2, keepdim=True),
    "softmax with temperature": softmax_temperature,
    "standardised by hand": standardised,
    "divided by its norm": divided_by_norm,
    "normalize": lambda h: F.normalize(h, dim=1) + F.normalize(h, p=1, dim=2),
    "cosine similarity": lambda h: F.cosine_similarity(h, h.flip(2).sigmoid(), dim=1),
    "inverse of constants": lambda h: torch.linalg.inv(torch.eye(6) + 0.1) @ h,
    "functional norms": lambda h: F.layer_norm(h, h.shape[1:]) + F.instance_norm(h).relu(),
    "minimum by -max(-x)": min_by_max,
    "maximum and minimum of two branches": max_of_branches,
    "overlapping, dilated, adaptive and power pools": overlapping_pools,
    "pools of images": pools_of_images,
    "amax over two axes": lambda h: torch.amax(h.view(-1, 2, 3, 30), dim=(1, 3)),
    "where x > 0": lambda h: torch.where(h > 0, h, 0.1 * h),
    "x * (x > 0)": lambda h: h * (h > 0) + h * (h > 0.1).to(h.dtype) + (h.abs() < 0.5) * h.flip(2),
    "constant mask": masked_constant,
    "clamp with both bounds": lambda h: h.clamp(-0.2, 0.4) + torch.clip(h, min=h.mean(1, keepdim=True)),
    "steps": steps,
    "heaviside": lambda h: h * torch.heaviside(h, torch.zeros((), dtype=h.dtype)),
    "cumsum, roll, diff": scanned,
    "reverse complement": twin,
    "interpolate": interpolated,
    "interpolate images": interpolated_images,
    "pixel shuffle and unfold": shuffled_pixels,
    "sliding windows": sliding_windows,
    "reflect, replicate and circular padding": padded_otherwise,
    "conv2d made inside": conv2d_inside,
    "constant indices": constant_index,
    "constant mask as an index": lambda h: h[..., torch.arange(h.shape[-1]) % 3 > 0].relu(),
    "slices written into zeros": written_slices,
    "slices written into empty_like": written_into_like,
    "positions joined": with_positions,
    "filter by fft": filtered_by_fft,
    "power spectrum": power_spectrum,
    "magnitude of a spectrum": lambda h: torch.fft.rfft(h - 0.3).abs(),
    "sums and means of groups": gathered_sums,
    "exp and softplus heads": lambda h: h.mean(-1).exp() + F.softplus(h.sum(-1), beta=2),
    "log(1 + exp)": lambda h: torch.log(1 + torch.exp(h)) + torch.log1p(h.exp()),
    "powers": lambda h: h**2 + torch.sqrt(h**2 + 1) - 0.1 * h.pow(3) + (h.abs() + 1) ** -0.5 + 2**h,
    "x / (1 + |x|)": lambda h: h / (1 + h.abs()) + F.softsign(h),
    "ratio of branches": ratio_of_branches,
    "exp gate": lambda h: h.tanh() * torch.exp(-h.flip(1)),
    "snake and polynomial": lambda h: h + torch.sin(h) ** 2 + (0.3 * h * h * h - h * h + 2 * h - 1),
    "swish by hand, twice": lambda h: h * torch.sigmoid(1.7 * h) * torch.sigmoid(h),
    "moments": moments,
    "products": products,
    "unrolled recurrence": unrolled_recurrence,
    "sum of powers in a loop": scalar_loop,
    "power of two branches": lambda h: h.sigmoid().pow(1 + h.flip(2).sigmoid()) + torch.atan2(h, 2 + h.cos()),
    "remainder": lambda h: torch.remainder(h, 0.7) + torch.fmod(h, 0.3),
    "addcmul and lerp": lambda h: torch.addcmul(h, h, h.tanh(), value=0.5) + torch.lerp(h, h.relu(), 0.3),
    "repeat_interleave and tile": lambda h: h.repeat_interleave(2, dim=2).tanh() + h.tile(1, 1, 2),
    "baddbmm": lambda h: torch.baddbmm(h[:, :, :6], h, h.mT.tanh(), beta=0.5, alpha=0.1),
}

# Leaves a module in training mode.
LEFT_IN_TRAINING = {"batch norm, left in training", "dropout, left on", "spectral norm"}

NAMES = [*FUNCTIONS, *LAYERS, *MODELS]


def module(name: str) -> nn.Module:
    """Return a module by its name, with weights that are the same every time."""
    if name in MODELS:
        made = seeded(MODELS[name])
    elif name in LAYERS:
        made = seeded(lambda: Around(LAYERS[name]()))
    else:
        made = seeded(lambda: Around(FUNCTIONS[name]))
    return made.train(name in LEFT_IN_TRAINING)
