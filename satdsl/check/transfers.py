"""Read `transfer` statements: a new head on the fixed features of a trained network."""

from __future__ import annotations

from satdsl.check import science
from satdsl.check.axes import Point
from satdsl.check.datasets import channels_fit, sizes_fit
from satdsl.check.resolve import Resolver
from satdsl.check.trainings import seed_of, single
from satdsl.ir.experiment import Dataset, TransferDefinition
from satdsl.ir.steps import CatalogCall
from satdsl.syntax import tree


def transfer(resolver: Resolver, statement: tree.Transfer, point: Point) -> TransferDefinition:
    """Return a transfer at a point of the sweep."""
    source, model = resolver.model_at(statement.source, point, "train")
    target = resolver.lookup(statement.target, point.environment, "dataset")
    recipe: CatalogCall = resolver.instance(statement.recipe, point, "recipe")
    data: Dataset = resolver.definition(target).at(point.labels)
    trained: Dataset = resolver.definition(model.dataset).at(point.labels | dict(source.fixed))
    _images_fit(resolver, statement.target, trained, data, model.dataset, target)
    if recipe["epochs"]:
        science.classes_to_learn(statement.target, target, data, resolver.findings)
    head = single(statement, tree.HeadLine, resolver.findings)
    seed = single(statement, tree.SeedLine, resolver.findings)
    node = head.value if head is not None else tree.Name(statement.span, "linear")
    return TransferDefinition(
        source=source,
        dataset=target,
        recipe=recipe,
        head=resolver.settings.named(node, ("head",), point.environment),
        seed=seed_of(seed, point, resolver.findings),
    )


def _images_fit(
    resolver: Resolver, at: tree.Node, source: Dataset, target: Dataset, source_name: str, target_name: str
) -> None:
    """Check that the network that was trained on `source` can read the images of `target`."""
    if source.facts is None or target.facts is None:
        return
    (channels, height, width), (other_channels, other_height, other_width) = source.facts.shape, target.facts.shape
    if not channels_fit(source.facts.shape, target.facts.shape):
        resolver.findings.reject(
            "E506",
            at,
            f"`{source_name}` has {channels} channel{'s' * (channels > 1)}, `{target_name}` has {other_channels}",
            "fixed features read images with the channels they were trained on; "
            "a grey channel can be repeated for them, colours cannot be made grey",
            "transfer to grey images, or from a network trained on colour images",
        )
    if not sizes_fit(source.facts.shape, target.facts.shape):
        message = f"`{source_name}` has {height} x {width} pixels, `{target_name}` has {other_height} x {other_width}"
        reason = "fixed features read images of the size they were trained on"
        size = f"resize={height}"
        help = resolver.in_dataset(target_name, size, f"add `{size}` to `dataset {target_name}`", at)
        resolver.findings.reject("E506", at, message, reason, help)
