"""Define the syntax tree: frozen dataclasses, each with the span of text that it was read from."""

from satdsl.syntax.tree.lines import *  # noqa: F403
from satdsl.syntax.tree.statements import *  # noqa: F403
from satdsl.syntax.tree.subset_nodes import *  # noqa: F403
from satdsl.syntax.tree.values import *  # noqa: F403
