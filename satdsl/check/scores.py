"""Check that a difficulty score can be taken of a training: that it exists, and that its snapshots are kept."""

from __future__ import annotations

from collections.abc import Iterable

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.scores import ScoreEntry
from satdsl.check.axes import Point
from satdsl.check.collector import Rejected
from satdsl.check.fixes import with_line
from satdsl.check.resolve import Resolver
from satdsl.check.training_parts import scores_exist
from satdsl.check.trainings import measuring_attack
from satdsl.check.values import Environment, Word, evaluate
from satdsl.hints import Hint, write
from satdsl.ir.experiment import Dataset, TrainingDefinition
from satdsl.ir.steps import CatalogCall
from satdsl.syntax import tree

KEEP = "keep snapshots every epoch"


def score_name(resolver: Resolver, word: tree.Word, at: Environment) -> str:
    """Return the name of the score that a word stands for at a point; reject one that there is not."""
    value = evaluate(word, at, resolver.findings)
    score = value.text if isinstance(value, Word) else word.span.text
    resolver.settings.entry(tree.Name(word.span, score), ("score",))
    return score


def score_entry(resolver: Resolver, score: str) -> ScoreEntry:
    """Return what is known of a score that `score_name` returned."""
    entry = resolver.settings.catalog.find("score", score)
    assert isinstance(entry, ScoreEntry)
    return entry


def own_score(resolver: Resolver, score: str) -> CatalogCall | None:
    """Return the call of a score of the user's own; None for a score of the catalog."""
    entry = score_entry(resolver, score)
    if entry.plugin is None:
        return None
    return CatalogCall(score, tuple(entry.defaults.items()), entry.defaults, entry.plugin)


def recorded_score(
    resolver: Resolver,
    node: tree.Node,
    score: str,
    name: str,
    model: TrainingDefinition,
    subsets: Iterable[str] | None = None,
    *,
    of_epoch: bool = False,
    attacked: bool = False,
) -> str:
    """Return the name that the training `name` records a score under.

    The score is rejected where it needs snapshots that the training does not keep, or that it takes of other images
    than those of `subsets` (None: of all); or where it is taken over all of them and asked for `of_epoch`: of the
    weights after one epoch, or for images that are `attacked`.
    """
    entry = score_entry(resolver, score)
    if entry.over_snapshots and attacked:
        message = f"`{score}` is taken while `{name}` trains, of images as they are, and not under an attack"
        help = f"use `{entry.of_weights}`, or leave the attack out" if entry.of_weights else "leave the attack out"
        resolver.findings.reject("E503", node, message, "an attacked image is scored with finished weights", help)
    if entry.over_snapshots and of_epoch:
        message = f"`{score}` is taken over the snapshots of a whole training, not of the weights after one epoch"
        help = f"use `{entry.of_weights}`, or leave the epoch out" if entry.of_weights else "leave the epoch out"
        resolver.findings.reject("E719", node, message, help=help)
    if not model.snapshots and name in resolver.scope.broken:
        raise Rejected  # a line of the training that cannot be read may be the one that keeps them
    if entry.over_snapshots and not model.snapshots:
        message = f"`{score}` needs the snapshots of `{name}`, which keeps none"
        help = f"add `{KEEP}` to `train {name}`" + (f", or use `{entry.of_weights}`" if entry.of_weights else "")
        reason = "it is taken over the snapshots of a training"
        resolver.findings.reject("E503", node, message, reason, _keeping(resolver, name, node, help))
    if entry.one_is_too_few and len(model.snapshots) == 1:
        message = f"`{score}` needs two snapshots of `{name}`, which keeps one"
        help = f"write `{KEEP}` in `train {name}`"
        resolver.findings.reject("E503", node, message, entry.one_is_too_few, _keeping(resolver, name, node, help))
    if entry.over_snapshots:
        scores_exist(resolver.findings, node, score, name, model, subsets)
    return entry.recorded_as


def attack_of_score(resolver: Resolver, word: tree.Word | None, data: Dataset, point: Point) -> CatalogCall | None:
    """Return the attack whose images are scored, None for images as they are."""
    if word is None:
        return None
    attack = measuring_attack(resolver, word, data, point)
    if AttackEntry.of(attack).ensemble:
        resolver.findings.reject(
            "E722",
            word,
            f"`{word.span.text}` makes no images that could be scored",
            f"{attack.name} ends at the first image that misleads the network, and leaves the others as they are",
            "use `pgd`, which goes on to the highest loss",
        )
    return None if AttackEntry.of(attack).clean else attack


def _keeping(resolver: Resolver, name: str, near: tree.Node, help: str) -> Hint:
    """Return `help`, which asks a training to keep snapshots of every epoch, with the fix that does so."""
    statement = resolver.scope.statements[name]
    if not isinstance(statement, tree.Train | tree.Transfer) or statement.span.source is not near.span.source:
        return Hint(help)
    kept = [line for line in statement.lines if isinstance(line, tree.KeepLine) and line.what == "snapshots"]
    if kept:
        return write(kept[-1].span, KEEP, help)
    return with_line(statement, statement.lines, KEEP, help, near.span)
