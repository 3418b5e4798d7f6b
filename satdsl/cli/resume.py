"""Write the command line that resumes the present command, with the options that it was given."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from enum import Enum
from typing import Any

import click
from click.core import ParameterSource

_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def resume_command(name: str, **others: Any) -> str:
    """Return `satdsl NAME` with every option of the present command that NAME takes too, quoted for a shell.

    Options that came from the environment are written out, since another shell may not have them. `others` replaces
    values that were given, by the names of the command's parameters.
    """
    here = click.get_current_context()
    root = here.find_root().command
    assert isinstance(root, click.Group)
    given = {one: value for one, value in here.params.items() if here.get_parameter_source(one) in _GIVEN} | others
    words = [word for one in root.commands[name].params if one.name in given for word in _words(one, given[one.name])]
    return shlex.join(["satdsl", name, *words])


def _words(parameter: click.Parameter, value: Any) -> Iterator[str]:
    """Yield the words of the command line for a parameter with its value."""
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
