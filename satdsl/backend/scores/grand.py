"""Score an image by the length of its loss gradient with respect to all weights: GraNd.

Paul, Ganguli and Dziugaite, 2021 ("Deep Learning on a Data Diet"), definition 2.1, for one initialisation.
The gradient of one image's cross-entropy is J'r, where J is the Jacobian of its logits by the weights and
r = p - onehot(y). What is put through the network is r / |r|; its length |r|, which is tiny where the network
is sure, is computed in double precision and multiplied in at the end, so that no score is lost to the rounding
of single precision.

There are three ways to |J'r|. `by_layers` is the fast one: one backward pass for a whole batch, in which each
layer adds the squared length of its own part (Goodfellow, 2015, "Efficient Per-Example Gradient Computations";
for convolutions Rochette, Manoel and Tramel, 2019). It knows the layers in `LAYERS`. `by_examples` maps the
backward pass over the images and takes any network that `torch.func` takes; `by_loop` takes any at all. The
first that agrees with the loop on a few images is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from satdsl.backend.counted_passes import counted_as
from satdsl.backend.images import Images
from satdsl.backend.inference import batch_for_gradients, full_precision, in_evaluation_mode

COMPARED = 3
"""For so many images a way to the gradients has to agree with the loop before it is used."""
TOLERANCE = 1e-2
"""Relative. Single precision alone moves the norms of a ResNet-50 by 6e-4, and those of deeper networks by more."""
COLUMNS = 2**24
"""Numbers that the unfolded inputs of a convolution may be at a time: 64 MiB."""


class UnknownLayerError(ValueError):
    """The gradients of a layer's weights cannot be told apart by image."""


def grand(network: nn.Module, images: Images, device: str, passed: Callable[[int], None] = lambda done: None) -> Tensor:
    """Return ||d(-ln p_y)/d(weights)||_2 of each image, float64 [n] on `device`: evaluation mode, no augmentation.

    `passed` is told how many images are done. The network is left as it was.
    """
    with in_evaluation_mode(network), full_precision(), _wanting_gradients(network):
        first, labels = next(images.batches(COMPARED, device))
        way = way_for(network, first, labels)
        size = batch_for_gradients(network, first[:1], per_image=0 if way is by_layers else _weights(network))
        norms = []
        for x, y in images.batches(size, device):
            norms.append(way(network, x, y))
            passed(min(len(norms) * size, len(images)))
    return torch.cat(norms)


@contextmanager
def _wanting_gradients(network: nn.Module) -> Iterator[None]:
    """Let every weight want a gradient where none does, as in an average of weights, which nothing trains.

    Where some do, the others are no weights that are learned, and are left out of the norm.
    """
    if any(weight.requires_grad for weight in network.parameters()):
        yield
        return
    network.requires_grad_(True)
    try:
        yield
    finally:
        network.requires_grad_(False)


Way = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(network, images [n, c, h, w], labels [n]) to norms, float64 [n]."""


def way_for(network: nn.Module, images: Tensor, labels: Tensor) -> Way:
    """Return the fastest way that agrees with the loop on these images."""
    expected = by_loop(network, images, labels)
    for way in (by_layers, by_examples):
        try:
            found = way(network, images, labels)
        except (RuntimeError, TypeError, ValueError):  # as many reasons as there are networks
            continue
        if torch.allclose(found, expected, rtol=TOLERANCE, atol=0):
            return way
    return by_loop


def by_loop(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the norms by one backward pass for each image."""
    weights = [p for p in network.parameters() if p.requires_grad]
    norms = []
    for i in range(len(images)):
        logits = network(images[i : i + 1])
        direction, length = residual(logits, labels[i : i + 1])
        parts = torch.autograd.grad(logits, weights, direction, allow_unused=True)
        squares = [part.double().square().sum() for part in parts if part is not None]
        norms.append(length * torch.stack(squares).sum().sqrt())
    return torch.cat(norms)


def by_examples(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the norms by taking the gradients for all images at once, with `torch.func`."""
    weights = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}
    with torch.no_grad():
        directions, lengths = residual(network(images), labels)

    def along(weights: dict[str, Tensor], image: Tensor, direction: Tensor) -> Tensor:
        logits: Tensor = functional_call(network, weights, (image[None],))
        return (logits[0] * direction).sum()

    with (
        counted_as(backward=len(images)),
        sdpa_kernel(SDPBackend.MATH),
    ):  # vmap would take the other kernels of attention image by image
        parts = vmap(grad(along), in_dims=(None, 0, 0))(weights, images, directions)
    squares = [part.flatten(1).square().sum(1).double() for part in parts.values()]
    return lengths * torch.stack(squares).sum(0).sqrt()


def by_layers(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the norms by one backward pass for all images, in which each layer adds its part.

    Raise UnknownLayerError for a layer that cannot.
    """
    n = len(images)
    squares = torch.zeros(n, dtype=torch.float64, device=images.device)

    used: set[nn.Module] = set()

    def tap(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        given = args[0].detach()
        if layer in used:
            raise UnknownLayerError(
                "a layer that is used twice, whose gradients are to be added before they are squared"
            )
        used.add(layer)

        def add(gradient: Tensor) -> None:
            squares.add_(LAYERS[type(layer)](layer, given, gradient, n))

        # It sees the gradient by what the layer gave, also where an activation overwrites that in place.
        output.register_hook(add)  # type: ignore[no-untyped-call]

    taps = [layer.register_forward_hook(tap) for layer in _layers(network)]
    try:
        images = images.detach().requires_grad_()
        logits = network(images)
        directions, lengths = residual(logits, labels)
        torch.autograd.grad(logits, images, directions)
    finally:
        for one in taps:
            one.remove()
    return lengths * squares.sqrt()


def residual(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return r / |r| and |r| of r = softmax(logits) - onehot(labels).

    The first is in the logits' precision, [n, classes], the second float64 [n].
    """
    wrong = logits.detach().double().softmax(1).scatter(1, labels[:, None], 0)
    r = wrong.scatter(1, labels[:, None], -wrong.sum(1, keepdim=True))
    # Where the network is very sure the squares of r are too small even for double precision. A power of two changes
    # no other digit.
    scale = torch.exp2(torch.frexp(r.abs().amax(1)).exponent.clamp_min(-1000).double())
    scaled = r / scale[:, None]
    length = torch.linalg.vector_norm(scaled, dim=1)
    return (scaled / torch.where(length > 0, length, 1)[:, None]).to(logits.dtype), scale * length


# --- layer by layer ----------------------------------------------------------------------------------


def _linear(layer: nn.Linear, given: Tensor, gradient: Tensor, n: int) -> Tensor:
    a, b = (values.reshape(n, -1, values.shape[-1]).mT for values in (given, gradient))
    return _of_products(a, b) + _of_bias(layer, b)


def _conv2d(layer: nn.Conv2d, given: Tensor, gradient: Tensor, n: int) -> Tensor:
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        raise UnknownLayerError("a convolution with padding other than a number of zeros")
    outputs = gradient.flatten(2)
    per_image = layer.weight[:1].numel() * layer.groups * outputs.shape[2]
    size = max(1, COLUMNS // per_image)
    squares = []
    for start in range(0, n, size):
        part = slice(start, start + size)
        columns = F.unfold(given[part], layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        m, positions = len(columns) * layer.groups, outputs.shape[2]
        a, b = (values.reshape(m, -1, positions) for values in (columns, outputs[part]))
        squares.append(_of_products(a, b).view(-1, layer.groups).sum(1))
    return torch.cat(squares) + _of_bias(layer, outputs)


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, given: Tensor, gradient: Tensor, n: int) -> Tensor:
    if layer.running_mean is None:
        raise UnknownLayerError("a batch norm without running statistics, in which images depend on each other")
    scaled = F.batch_norm(given, layer.running_mean, layer.running_var, eps=layer.eps)
    return _of_scale(layer, scaled.reshape(n, given.shape[1], -1), gradient.reshape(n, given.shape[1], -1))


def _group_norm(layer: nn.GroupNorm, given: Tensor, gradient: Tensor, n: int) -> Tensor:
    scaled = F.group_norm(given, layer.num_groups, eps=layer.eps)
    return _of_scale(layer, scaled.flatten(2), gradient.flatten(2))


def _layer_norm(layer: nn.LayerNorm, given: Tensor, gradient: Tensor, n: int) -> Tensor:
    width = layer.weight.numel()
    scaled = F.layer_norm(given, layer.normalized_shape, eps=layer.eps)
    return _of_scale(layer, scaled.reshape(n, -1, width).mT, gradient.reshape(n, -1, width).mT)


LAYERS: Mapping[type, Callable[[Any, Tensor, Tensor, int], Tensor]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv2d,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
}
"""By a layer's very type: (layer, its input, the gradient by its output, number of images n) to the squared length of
the gradient by its weights, [n]."""


def _layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers with weights; raise UnknownLayerError where one is of no known type or shares its weights."""
    layers = [m for m in network.modules() if any(p.requires_grad for p in m.parameters(recurse=False))]
    unknown = {type(layer).__name__ for layer in layers if type(layer) not in LAYERS}
    held = [id(p) for layer in layers for p in layer.parameters(recurse=False)]
    if unknown or len(set(held)) < len(held):
        raise UnknownLayerError(", ".join(sorted(unknown)) or "shared weights")
    return layers


def _of_products(a: Tensor, b: Tensor) -> Tensor:
    """Return ||sum_t a_t b_t'||_F^2 of a [m, k, t] and b [m, c, t], [m].

    Either the sum itself ([k, c]), or sum_st (a_s'a_t)(b_s'b_t) ([t, t]): whichever takes fewer operations.
    """
    (k, t), c = a.shape[1:], b.shape[1]
    if t * (k + c) < k * c:
        return ((a.mT @ a) * (b.mT @ b)).sum((1, 2)).clamp_min(0)
    return (a @ b.mT).square().sum((1, 2))


def _of_bias(layer: nn.Linear | nn.Conv2d, gradient: Tensor) -> Tensor | float:
    return 0.0 if layer.bias is None else gradient.sum(2).square().sum(1)


def _of_scale(layer: Any, scaled: Tensor, gradient: Tensor) -> Tensor:
    """Return the squares for y = weight * scaled + bias, of scaled and gradient [n, width, positions]."""
    squares = (scaled * gradient).sum(2).square().sum(1)
    return squares if layer.bias is None else squares + gradient.sum(2).square().sum(1)


def _weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
