"""Compute losses that are written as formulas, of the logits of a pass."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from satdsl.backend.loss_terms import Labelled
from satdsl.backend.registry import implementation
from satdsl.ir.loss_formula import OPERATORS, LossFormula

_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True, eq=False)
class FormulaLoss:
    """A `Loss` that computes a formula. Gradients go through every term but `fixed(...)`."""

    formula: LossFormula
    label_smoothing: float = 0.0

    def __call__(self, plain: Tensor, logits: Tensor, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the losses [n]. Where it looks at a single image, its `logits` are those of the one trained on."""
        images = {"clean": logits, "adversarial": logits if adversarial is None else adversarial}
        value: Tensor = _value(self.formula.formula, images, Labelled(labels, self.label_smoothing))
        return value


def _value(formula: Any, images: Mapping[str, Tensor], of: Labelled) -> Any:
    """Return what a formula, or the prediction for an image, is worth."""
    if isinstance(formula, str):
        return images[formula]
    if not isinstance(formula, tuple):
        return formula
    name, *operands = formula
    values = [_value(operand, images, of) for operand in operands]
    if name not in OPERATORS:
        return implementation("term", name)(of, *(_tensor(value, of) for value in values))
    return -values[0] if len(values) == 1 else _OPERATIONS[name](*values)


def _tensor(value: Tensor | float, of: Labelled) -> Tensor:
    """Return a number as a tensor: `fixed(2)` is a term, too."""
    return value if isinstance(value, Tensor) else torch.full(of.labels.shape, value, device=of.labels.device)
