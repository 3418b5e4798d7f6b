"""Read `transfer` statements: a new head on a trained network, whose features are fixed or trained further."""

from __future__ import annotations

from dataclasses import replace

from satdsl.check import science
from satdsl.check.axes import Point
from satdsl.check.checkpoints import head_is_random
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.datasets import channels_fit, sizes_fit
from satdsl.check.fixes import with_line
from satdsl.check.network_body import body_of
from satdsl.check.resolve import Resolver, trains_all
from satdsl.check.trainings import TrainReader, seed_of, single
from satdsl.hints import Hint
from satdsl.ir.experiment import Dataset, TrainingDefinition, TransferDefinition
from satdsl.ir.steps import CatalogCall
from satdsl.syntax import tree


def transfer(resolver: Resolver, statement: tree.Transfer, point: Point) -> TransferDefinition | TrainingDefinition:
    """Return a transfer at a point of the sweep: a training, where it trains the whole network."""
    single(statement, tree.TrainedLine, resolver.findings)
    head = single(statement, tree.HeadLine, resolver.findings)
    node = head.value if head is not None else tree.Name(statement.span, "linear")
    chosen = resolver.settings.named(node, ("head",), point.environment)
    if trains_all(statement):
        return _of_network(resolver, statement, point, chosen)
    _trains_head_alone(statement, resolver.findings)
    return _of_head(resolver, statement, point, chosen)


def _of_head(resolver: Resolver, statement: tree.Transfer, point: Point, head: CatalogCall) -> TransferDefinition:
    """Return a transfer that trains a new head on fixed features."""
    source, model = resolver.model_at(statement.source, point, "train")
    target = resolver.lookup(statement.target, point.environment, "dataset")
    recipe: CatalogCall = resolver.instance(statement.recipe, point, "recipe")
    data: Dataset = resolver.definition(target).at(point.labels)
    trained: Dataset = resolver.definition(model.dataset).at(point.labels | dict(source.fixed))
    _images_fit(resolver, statement.target, trained, data, model.dataset, target)
    if recipe["epochs"]:
        science.classes_to_learn(statement.target, target, data, resolver.findings)
    seed = single(statement, tree.SeedLine, resolver.findings)
    return TransferDefinition(source, target, recipe, head, seed_of(seed, point, resolver.findings))


def _of_network(resolver: Resolver, statement: tree.Transfer, point: Point, head: CatalogCall) -> TrainingDefinition:
    """Return a transfer that trains the whole network under a new head (Salman et al., 2020)."""
    source, model = resolver.model_at(statement.source, point, "train")
    reader = TrainReader(resolver, statement, statement.target, point)
    body = body_of(resolver, model, point.labels | dict(source.fixed))
    name = body.training.dataset
    _images_fit(resolver, statement.target, body.data, reader.data, name, reader.dataset)
    if reader.epochs == 0:
        head_is_random(statement.recipe, statement.name.text, resolver.findings)
    training = reader.trained(body.training.model)
    return replace(training, start=source, head=head, mean=body.mean, std=body.std)


def _trains_head_alone(statement: tree.Transfer, findings: FindingCollector) -> None:
    """Refuse the lines of a training where the features stay what they are."""
    found = [line for line in statement.lines if not isinstance(line, (tree.TrainedLine, tree.HeadLine, tree.SeedLine))]
    says_head = any(isinstance(line, tree.TrainedLine) for line in statement.lines)
    for place, line in enumerate(found):
        help: str | Hint = "add `train all`, or leave this line out"
        if place == 0 and not says_head:
            help = with_line(statement, statement.lines, "train all", str(help), line.span)
        findings.error(
            "E538",
            line,
            f"`{statement.name.text}` trains its new head alone, and this line is about a training of the network",
            "without `train all` all features stay what they are: the head is trained on clean images, and nothing is "
            "selected or kept on the way",
            help,
        )
    if found:
        raise Rejected


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
            "a network reads images with the channels it was trained on; "
            "a grey channel can be repeated for it, colours cannot be made grey",
            "transfer to grey images, or from a network trained on colour images",
        )
    if not sizes_fit(source.facts.shape, target.facts.shape):
        message = f"`{source_name}` has {height} x {width} pixels, `{target_name}` has {other_height} x {other_width}"
        reason = "a network reads images of the size it was trained on"
        size = f"resize={height}"
        help = resolver.in_dataset(target_name, size, f"add `{size}` to `dataset {target_name}`", at)
        resolver.findings.reject("E506", at, message, reason, help)
