"""Choose among the weights in a file those that an architecture needs: by names and shapes alone.

A file may hold several networks, each under names of its author's, behind prefixes of wrappers, beside weights of other
things. Every way to read it is tried: each mapping, each prefix, with the file's names or with ours for them. One that
has all weights that are needed, in their shapes, and no others fits.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import prod

from satdsl.records import Record, record
from satdsl.weight_files.problem import WeightsProblem
from satdsl.weight_files.tensors import FLOATS, TensorPlace, Weights

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""The shape of each weight by its name in our network."""

Names = Sequence[tuple[str, str]]
"""Regular expressions for other people's names of layers, and ours; what gets an empty name is dropped."""

MEANS = {"mean", "mu", "means", "new_mean", "data_mean", "image_mean", "img_mean", "pixel_mean", "norm_mean", "_mean"}
STDS = {"std", "sigma", "stds", "new_std", "data_std", "image_std", "img_std", "pixel_std", "norm_std", "_std"}
"""The last part of the names that the numbers of a normalisation have."""

BESIDE = r"^(?:\w+\.)?(?:n_averaged$|(?:\w*criterion|\w*loss(?:_\w+)?|\w*metrics?|\w*acc|\w*accuracy)(?:\.|$))"
"""Names of what is kept beside a network and takes no part in its logits: criteria, metrics, the count of averages."""

WRAPPERS = {"module", "model", "_orig_mod", "body", "net", "network", "basic_net", "1"}
"""Modules around a network, whose names come before its own; `1` follows a normalisation in `nn.Sequential`."""

WRAPPED = r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
"""What PyTorch puts into names wherever a layer is compiled, sharded or computed anew; no layer is called so."""

COUNTERS = "num_batches_tracked"
"""The last part of the names of batch norm's counters, which change nothing where its momentum is a number."""

FOLDED = (
    (r"weight_g$|weight_v$", "weight normalisation", "torch.nn.utils.remove_weight_norm(layer)"),
    (r"weight_mask$|bias_mask$", "pruning", 'torch.nn.utils.prune.remove(layer, "weight")'),
    (r"weight_u$|weight_orig$", "spectral normalisation", "torch.nn.utils.remove_spectral_norm(layer)"),
    (
        r"parametrizations\.",
        "a parametrisation",
        'torch.nn.utils.parametrize.remove_parametrizations(layer, "weight")',
    ),
    (r"(_packed_params|zero_point|\.scale)(\.|$)", "quantisation", "the weights from before it was quantised"),
)
"""Names by which it is seen that a layer's weight has to be computed from others, and what computes it."""


@record
class Wanted(Record):
    """What a network needs: its weights without counters, other people's names for them, the name of its last layer."""

    shapes: Shapes
    names: Names = ()
    head: str | None = None


@record
class Reading(Record):
    """One way to read a file. `label` says where: `ema`, or `state_dict.module.model`."""

    label: str
    inner: Mapping[str, TensorPlace]
    """By our names, as far as it has them."""
    outer: Mapping[str, TensorPlace]
    """What is not behind the prefix, by the file's names."""
    own: Mapping[str, TensorPlace]
    """What is behind the prefix, by the file's names."""

    def sources(self, wanted: Collection[str]) -> dict[str, TensorPlace]:
        return {name: self.inner[name] for name in wanted if name in self.inner}


@record
class Match(Record):
    """The weights of a network in a file, under our names; the numbers of its normalisation; what was left aside."""

    label: str
    weights: Mapping[str, TensorPlace]
    counters: Mapping[str, TensorPlace]
    normalisation: Mapping[str, tuple[float, ...]]
    aside: tuple[str, ...]
    others: tuple[str, ...]
    """Where else in the file weights lie."""

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types of the weights that are not float32."""
        return tuple(sorted({tensor.type for tensor in self.weights.values()} - {"float32"}))

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Return the other places in the file where weights lie that could be of a network, too."""
        return tuple(one for one in self.others if not _within(one, self.label) and not _within(self.label, one))

    @property
    def note(self) -> str:
        """Say where in the file the weights are, if others are in it, and in which type, if not in float32."""
        beside = f"`{self.label}`, not {_listed(self.elsewhere)}" if self.elsewhere and self.label else ""
        return "; ".join(filter(None, (beside, f"{' and '.join(self.types)} as float32" if self.types else "")))


def _within(place: str, outer: str) -> bool:
    return not outer or f"{place}.".startswith(f"{outer}.")


def match(found: Mapping[str, Weights], wanted: Wanted, entry: str | None = None) -> Match:
    """Return the weights that a network needs.

    Raises:
        WeightsProblem: None fit, or several do that differ, or they cannot be used.
    """
    readings = [reading for label, weights in found.items() for reading in _readings(label, weights, wanted)]
    chosen = readings if entry is None else _at(entry, readings)
    if entry is not None and not chosen:
        raise WeightsProblem(
            "E521",
            f"has no weights at `{entry}`",
            f"it has some at {_listed(_places(readings, found, wanted))}",
            "name one of these",
        )
    fitting = [reading for reading in chosen if _fits(reading, wanted)]
    if not fitting:
        raise _misfit(max(chosen, key=lambda reading: _likeness(reading, wanted)), wanted)
    first, *rest = fitting
    copies = [reading for reading in rest if _same(first, reading, wanted)]
    if len(copies) < len(rest):
        labels = [one.label for one in fitting]
        raise WeightsProblem(
            "E521",
            f"has several networks that fit: {_listed(labels)}",
            "their weights differ, so they are different networks",
            f'say which is meant: checkpoint(..., entry="{labels[0] or labels[1]}")',
        )
    others = tuple(label for label, weights in found.items() if label and len(weights) >= len(wanted.shapes) / 2)
    return _matched(first, copies, wanted, entry, others)


def _at(entry: str, readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings at a place: those that begin there, or else those that lie in something of this name."""
    below = [reading for reading in readings if f"{reading.label}.".startswith(f"{entry}.")]
    return below or [reading for reading in readings if f".{entry}." in f".{reading.label}."]


def _matched(
    first: Reading, copies: Sequence[Reading], wanted: Wanted, entry: str | None, nests: tuple[str, ...]
) -> Match:
    weights = first.sources(wanted.shapes)
    taken = {id(tensor) for one in (first, *copies) for tensor in one.own.values()}
    outer = {name: tensor for name, tensor in first.outer.items() if id(tensor) not in taken}
    spare = {name: tensor for name, tensor in first.inner.items() if name not in wanted.shapes}
    normalisation = _normalisation({**outer, **spare})
    left = [name for name in outer if not is_beside(name, outer[name])]
    if left and entry is None:
        place = f'checkpoint(..., entry="{first.label}")' if first.label else "another architecture"
        raise WeightsProblem(
            "E519",
            f"has all weights of the network at `{first.label}`, but {len(left)} more beside them ({_first(left)})",
            "if these take part in what the network computes, the architecture is another one",
            f"if they do not, write {place}",
        )
    counters = {name: tensor for name, tensor in spare.items() if name.endswith(COUNTERS)}
    _usable(weights)
    aside = tuple(sorted({*outer, *(name for name in spare if name not in counters)}))
    return Match(first.label, weights, counters, normalisation, aside, nests)


def _readings(label: str, weights: Weights, wanted: Wanted) -> Iterator[Reading]:
    """Give the ways to read one mapping, for each prefix the better of its names and ours."""
    weights = {re.sub(WRAPPED, "", name): tensor for name, tensor in weights.items()}
    for prefix in _prefixes(weights, wanted):
        inner = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        outer = {name: tensor for name, tensor in weights.items() if not name.startswith(prefix)}
        place = ".".join(part for part in (label, prefix.rstrip(".")) if part)
        ways = [Reading(place, named, outer, inner) for named in (inner, renamed(inner, wanted.names))]
        yield max(ways, key=lambda reading: (_fits(reading, wanted), _likeness(reading, wanted)))


def _prefixes(names: Collection[str], wanted: Wanted) -> list[str]:
    """Return what can come before a network's own names, the shortest first: what half of its weights could follow."""
    counts: dict[str, int] = {"": len(names)}
    for name in names:
        parts = name.split(".")[:-1]
        for i in range(len(parts)):
            prefix = ".".join(parts[: i + 1]) + "."
            counts[prefix] = counts.get(prefix, 0) + 1
    enough = len(wanted.shapes) / 2
    wrappers = {prefix for prefix in counts if not set(prefix[:-1].split(".")) - WRAPPERS}
    return sorted(
        (prefix for prefix, count in counts.items() if count >= enough or prefix in wrappers | {""}),
        key=lambda prefix: prefix.count("."),
    )


def renamed(weights: Weights, names: Names) -> dict[str, TensorPlace]:
    """Rename weights to our names. `blocks.2+1` is block 1 of stage 2; our blocks are counted through all stages."""
    ours: dict[str, TensorPlace] = {}
    for name, tensor in weights.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        if name:
            ours.setdefault(name, tensor)
    blocks = sorted({(int(i), int(j)) for i, j in re.findall(r"blocks\.(\d+)\+(\d+)\.", "\n".join(ours))})
    places = {f"blocks.{i}+{j}.": f"blocks.{place}." for place, (i, j) in enumerate(blocks)}
    return {re.sub(r"^blocks\.\d+\+\d+\.", lambda staged: places[staged[0]], name): t for name, t in ours.items()}


def _fits(reading: Reading, wanted: Wanted) -> bool:
    """Return whether a reading has all weights in their shapes, and no others that belong to a network."""
    if any(name not in reading.inner or reading.inner[name].shape != shape for name, shape in wanted.shapes.items()):
        return False
    return not _left(reading, wanted)


def _left(reading: Reading, wanted: Wanted) -> list[str]:
    """Return the names behind the prefix of what is neither a weight of the network nor kept beside one."""
    inner = reading.inner
    return [name for name in inner if name not in wanted.shapes and not is_beside(name, inner[name])]


def is_beside(name: str, tensor: TensorPlace) -> bool:
    return (
        name.endswith(COUNTERS)
        or part_of_normalisation(name, tensor) is not None
        or bool(re.match(BESIDE, name, re.IGNORECASE))
    )


def _likeness(reading: Reading, wanted: Wanted) -> tuple[int, int, int]:
    """Return how many weights a reading has in their shapes, how many by name, and how few others, to be compared."""
    inner = reading.inner
    named = [name for name in wanted.shapes if name in inner]
    return sum(inner[name].shape == wanted.shapes[name] for name in named), len(named), -len(inner)


def _same(first: Reading, other: Reading, wanted: Wanted) -> bool:
    return all(first.inner[name].same(other.inner[name]) for name in wanted.shapes)


def _usable(weights: Mapping[str, TensorPlace]) -> None:
    for name, tensor in weights.items():
        why = tensor.unusable or ("" if tensor.type in FLOATS else f"of the type {tensor.type}")
        if why:
            raise WeightsProblem(
                "E524",
                f"has a weight that is {why}: `{name}`",
                "weights are read as float32, float64, float16 or bfloat16",
                "save the network's weights as they are in float32",
            )


# --- normalisation -----------------------------------------------------------------------------------


def part_of_normalisation(name: str, tensor: TensorPlace) -> str | None:
    """Return `mean` or `std` if an entry is like that of a layer that normalises images."""
    last = name.rpartition(".")[2]
    kind = "mean" if last in MEANS else "std" if last in STDS else None
    return kind if kind and prod(tensor.shape) <= 16 and tensor.type in FLOATS else None


def _normalisation(entries: Mapping[str, TensorPlace]) -> dict[str, tuple[float, ...]]:
    """Return the mean and the standard deviation that a file normalises images with, on the scale 0 to 1.

    Raises:
        WeightsProblem: It has several that differ.
    """
    found: dict[str, dict[str, tuple[float, ...]]] = {"mean": {}, "std": {}}
    for name, tensor in entries.items():
        kind, numbers = part_of_normalisation(name, tensor), tensor.numbers(16)
        if kind is not None and numbers is not None:
            found[kind][name] = numbers
    for kind, named in found.items():
        values = list(named.items())
        for name, numbers in values[1:]:
            if not close(values[0][1], numbers):
                raise WeightsProblem(
                    "E522",
                    f"has several normalisations of images that differ: `{values[0][0]}` is {written(values[0][1])}, "
                    f"`{name}` is {written(numbers)}",
                    f"a network has one {kind} of each channel",
                    'say which network is meant, checkpoint(..., entry="..."), or save it without the others',
                )
    settled = {kind: next(iter(named.values())) for kind, named in found.items() if named}
    if max(settled.get("mean", (0.0,)), default=0.0) > 2:
        settled = {kind: tuple(number / 255 for number in numbers) for kind, numbers in settled.items()}
    return settled


def close(some: Sequence[float], others: Sequence[float], tolerance: float = 2e-3) -> bool:
    """Return whether two lists of published, so rounded, constants are the same; one number stands for all channels."""
    most = max(len(some), len(others))
    if {len(some), len(others)} - {1, most}:
        return False
    wide = [list(one) * (most // len(one)) for one in (some, others)]
    return all(abs(one - other) <= tolerance for one, other in zip(*wide, strict=True))


def normalised_alike(found: Match, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise WeightsProblem if the file normalises images in another way than with `mean` and `std`."""
    ours = {"mean": tuple(mean), "std": tuple(std)}
    for kind, numbers in found.normalisation.items():
        if not close(ours[kind], numbers):
            wanted = settings(found.normalisation) if len(found.normalisation) == 2 else "mean=[...], std=[...]"
            raise WeightsProblem(
                "E522",
                f"normalises images with {settings(found.normalisation)}, the model with {settings(ours)}",
                "a network sees other images than those it was trained on if its normalisation is another one",
                f"write checkpoint(..., {wanted})",
            )


def settings(normalisation: Mapping[str, Sequence[float]]) -> str:
    """Write a normalisation as in a specification: `mean=[0.5], std=[0.25]`."""
    return ", ".join(f"{kind}={written(numbers)}" for kind, numbers in sorted(normalisation.items()))


def written(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{number:.4g}' for number in numbers)}]"


# --- what does not fit ---------------------------------------------------------------------------------


class Misfit(WeightsProblem):
    """The weights in a file are those of another network. `reading` comes nearest.

    `meant` is the architecture that they are of, as the language writes it, where that is known.
    """

    def __init__(self, message: str, reason: str, help: str, reading: Reading, code: str = "E519") -> None:
        super().__init__(code, message, reason, help)
        self.reading = reading
        self.meant = ""


def _misfit(reading: Reading, wanted: Wanted) -> WeightsProblem:
    inner = reading.inner
    for name in wanted.shapes:
        if name in inner and inner[name].unusable:
            _usable({name: inner[name]})
    for pattern, what, how in FOLDED:
        names = [name for name in _left(reading, wanted) if re.search(pattern, name)]
        if names:
            return Misfit(
                f"has layers under {what} (`{names[0]}`)",
                "their weights have to be computed from several entries",
                f"compute them, and save the state dict again: {how}",
                reading,
                "E524",
            )
    missing = [name for name in wanted.shapes if name not in inner]
    shapes = [name for name, shape in wanted.shapes.items() if name in inner and inner[name].shape != shape]
    left = _left(reading, wanted)
    differences = [
        f"{len(names)} {what} ({_first(names)})" for names, what in ((missing, "missing"), (left, "not in it")) if names
    ]
    if shapes:
        sizes = [f"{name} {size(inner[name].shape)} instead of {size(wanted.shapes[name])}" for name in shapes]
        differences.append(f"{len(shapes)} of another shape ({_first(sizes)})")
    where = f" at `{reading.label}`" if reading.label else ""
    return Misfit(
        f"has other weights{where} than the architecture: {'; '.join(differences)}",
        "",
        _way_out(reading, wanted, shapes),
        reading,
    )


def _way_out(reading: Reading, wanted: Wanted, shapes: Sequence[str]) -> str:
    """Return what to do if only the numbers of classes or of channels are others; nothing else is certain."""
    layers = {name.rpartition(".")[0] for name in shapes}
    head = f"{wanted.head}.weight"
    if shapes and layers == {wanted.head} and head in reading.inner:
        theirs, ours = reading.inner[head].shape, wanted.shapes[head]
        if theirs[1:] == ours[1:]:
            return (
                f"they tell {theirs[0]} classes apart, the data set has {ours[0]}: use the data set that they were "
                "trained on, and `transfer` from there"
            )
    first = next(iter(wanted.shapes), "")
    if shapes == [first] and len(wanted.shapes[first]) == 4:
        theirs, ours = reading.inner[first].shape, wanted.shapes[first]
        if theirs[0] == ours[0] and theirs[2:] == ours[2:]:
            return f"they take images of {theirs[1]} channels, the data set's have {ours[1]}"
    return ""


def _places(readings: Iterable[Reading], found: Mapping[str, Weights], wanted: Wanted) -> list[str]:
    fitting = [one.label for one in readings if one.label and _fits(one, wanted)]
    return list(dict.fromkeys(fitting or [label for label in found if label] or [""]))


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _listed(labels: Sequence[str]) -> str:
    return " and ".join(f"`{label}`" if label else "the top of the file" for label in labels[:6])


def size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "one number"
