"""Read losses that are written as formulas: `bce(adversarial) + 5*kl(clean, adversarial)*(1 - p(clean))`."""

from __future__ import annotations

from typing import Any, NoReturn

from satdsl.catalog import Entry
from satdsl.catalog.loss_terms import LossTermEntry
from satdsl.catalog.losses import LossEntry
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.settings import Settings
from satdsl.check.values import Environment, Num, Share, branch, describe, evaluate, lookup
from satdsl.hints import did_you_mean, write
from satdsl.ir.loss_formula import IMAGES, OPERATORS, LossFormula, operation
from satdsl.ir.steps import Loss
from satdsl.syntax import tree


def loss(node: tree.Value, settings: Settings, at: Environment) -> Loss | None:
    """Return the loss that a line gives, a call of the catalog or a formula; None for the cross-entropy."""
    named = _followed(node, settings.findings, at)
    if isinstance(named, tree.Name | tree.Call):
        name = named if isinstance(named, tree.Name) else named.name
        if isinstance(settings.entry(name, ("loss", "term")), LossEntry):
            call = settings.named(node, ("loss",), at)
            return None if LossEntry.of(call).plain else call
    formula = _Reader(settings, at).read(node)
    if not isinstance(formula, tuple) or not trained(formula):
        _constant(node, formula, settings.findings)
    return LossFormula(formula)


def fits_attack(
    node: tree.LossLine, loss: LossFormula, subset: str, attacked: bool, findings: FindingCollector
) -> None:
    """Refuse a formula that looks at adversarial images where there are none, or that looks at no attacked image."""
    text = node.value.span.text
    if "adversarial" in loss.looks_at and not attacked:
        findings.error(
            "E530",
            node,
            f"`{text}` looks at adversarial images, but nothing attacks `{subset}`",
            "without an attack there is no adversarial version of an image",
            f"add `attack {subset} with` an attack, or write the formula of `clean` images",
        )
    elif "adversarial" not in loss.looks_at and attacked:
        findings.error(
            "E530",
            node,
            f"`{subset}` is attacked, but `{text}` looks at its clean images only",
            "the attack would be paid for and change nothing",
            f"write a formula with `adversarial` images, or leave out the attack on `{subset}`",
        )


def plain(loss: LossFormula) -> LossFormula | None:
    """Return None for the formula of the cross-entropy, which is what is minimised where nothing is said.

    A formula of the clean image belongs to a subset that is not attacked, one of the adversarial image to an attacked
    one: both are the image that the network is trained on.
    """
    return None if loss.formula in {("ce", image) for image in IMAGES} else loss


def trained(formula: Any) -> bool:
    """Return whether a gradient goes from a formula to the network that is trained."""
    if not isinstance(formula, tuple):
        return isinstance(formula, str)
    name, *operands = formula
    if name == "of":
        return False
    return not (name not in OPERATORS and LossTermEntry.of(name).constant) and any(map(trained, operands))


def _constant(node: tree.Value, formula: Any, findings: FindingCollector) -> NoReturn:
    """Reject a formula that is the same whatever the weights of the network are."""
    shown = f"`{node.span.text}`"
    number = not isinstance(formula, tuple)
    findings.reject(
        "E531",
        node,
        f"{shown} is a number, not a loss" if number else f"nothing in {shown} trains the network",
        "a loss depends on what the network says of an image"
        if number
        else "no gradient goes through any of its terms",
        "write a formula of terms, such as `ce(adversarial)`",
    )


def _followed(node: tree.Value, findings: FindingCollector, at: Environment) -> tree.Value:
    """Return what a value is, through params and conditions."""
    while isinstance(node, tree.Parameter | tree.Conditional):
        node = lookup(node, at) if isinstance(node, tree.Parameter) else branch(node, at, findings)
    return node


class _Reader:
    """Reads formulas at one point of the sweep."""

    def __init__(self, settings: Settings, at: Environment) -> None:
        self.settings, self.at, self.findings = settings, at, settings.findings

    def read(self, node: tree.Value) -> Any:
        """Return the nested tuples of a `LossFormula`, or a number."""
        node = _followed(node, self.findings, self.at)
        match node:
            case tree.Call():
                return self._term(node)
            case tree.Name():
                self._word(node)
            case tree.Negative():
                operand = self.read(node.operand)
                return -operand if isinstance(operand, float) else operation("-", operand)
            case tree.Binary():
                left, right = self.read(node.left), self.read(node.right)
                if isinstance(left, tuple) or isinstance(right, tuple):
                    return operation(node.operator, left, right)
        value = evaluate(node, self.at, self.findings)
        if isinstance(value, Num | Share):
            return value.value
        self.findings.reject(
            "E301",
            node,
            f"`{node.span.text}` is {describe(value)}, and cannot stand in a loss",
            help="a loss is made of terms such as `ce(clean)`, of numbers, and of + - * / ( )",
        )

    def _term(self, node: tree.Call) -> Any:
        entry = self._entry(node.name)
        bound = self.settings.bind(node, entry)
        given = [one for name in entry.args if isinstance(one := bound.get(name), tree.Argument)]
        if len(given) != len(entry.args) or len(given) != len(node.arguments):
            raise Rejected
        operands = [
            self._image(one.value) if argument.type == "image" else self.read(one.value)
            for one, argument in zip(given, entry.args.values(), strict=True)
        ]
        return entry.name, *operands

    def _word(self, name: tree.Name) -> NoReturn:
        """Reject a word that stands where a term is needed."""
        if name.text in IMAGES:
            self.findings.reject(
                "E529",
                name,
                f"`{name.text}` is an image, not a loss",
                "a loss compares what the network says of an image with its label, or with another prediction",
                write(name.span, f"ce({name.text})", f"write `ce({name.text})` for its cross-entropy"),
            )
        self.settings.bind(tree.Call(name.span, name, ()), self._entry(name))
        raise Rejected

    def _entry(self, name: tree.Name) -> Entry:
        """Return the term of a name; what is a loss by itself stands alone."""
        whole = self.settings.catalog.find("loss", name.text)
        if whole is not None:
            self.findings.reject(
                "E529",
                name,
                f"`{name.text}` is a whole loss, and cannot be a part of another one",
                f"it is {whole.formula}" if whole.formula else "",
                "write what it means in terms, such as `ce(clean) + 6*kl(clean, adversarial)`",
            )
        return self.settings.entry(name, ("term",))

    def _image(self, node: tree.Value) -> Any:
        """Return the image that a term looks at."""
        node = _followed(node, self.findings, self.at)
        if isinstance(node, tree.Name) and node.text in IMAGES:
            return node.text
        shown = node.span.text
        self.findings.reject(
            "E529",
            node,
            f"`{shown}` is not an image that a loss can look at",
            "a term looks at the `clean` image or at the `adversarial` one",
            did_you_mean(shown, IMAGES, node.span) or "write `clean` or `adversarial`",
        )
