"""The present command, as it was given, to the command line that goes on with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from enum import Enum
from typing import Any

import click
from click.core import ParameterSource

_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def again(name: str, **others: Any) -> str:
    """`satdsl NAME` with all that the present command was given and `NAME` takes as well, quoted for a shell.

    What the environment gave is written out: another shell may not have it. `others` are values that take the place
    of what was given, by the names of the command's parameters.
    """
    here = click.get_current_context()
    root = here.find_root().command
    assert isinstance(root, click.Group)
    given = {one: value for one, value in here.params.items() if here.get_parameter_source(one) in _GIVEN} | others
    words = [word for one in root.commands[name].params if one.name in given for word in _words(one, given[one.name])]
    return shlex.join(["satdsl", name, *words])


def _words(parameter: click.Parameter, value: Any) -> Iterator[str]:
    """A parameter with its value, as it is written."""
    if isinstance(parameter, click.Argument):
        text = _written(value)
        yield f"./{text}" if text.startswith("-") else text
    elif isinstance(parameter, click.Option) and parameter.is_flag:
        yield from (parameter.opts if value else parameter.secondary_opts)[:1]
    else:
        for one in value if parameter.multiple else [value]:
            yield from (max(parameter.opts, key=len), _written(one))


def _written(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)
