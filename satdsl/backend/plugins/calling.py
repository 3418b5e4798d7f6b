"""Call a plug-in's function, and say in one sentence with file and line what went wrong in it."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, signature, unwrap
from types import ModuleType, TracebackType
from typing import Any

import torch

from satdsl.backend.plugins import modules
from satdsl.backend.plugins.guard import CalledExit, Replaced, contained
from satdsl.backend.plugins.modules import TooSlow
from satdsl.ir.steps import CatalogCall, PluginCode
from satdsl.ir.work import StepError

KEPT = "mend it and run again: what is finished is kept"


@dataclass(frozen=True, eq=False)
class Plugin:
    """A function of the user's own, with the arguments of a call."""

    call: CatalogCall
    code: PluginCode
    function: Callable[..., Any]

    @classmethod
    def of(cls, call: CatalogCall) -> Plugin:
        """Import the function behind a call; raise StepError where that goes wrong."""
        code = call.plugin
        assert code is not None
        function = getattr(imported(code), code.function, None)
        if not callable(function):
            raise StepError(
                f"{code.path}: there is no function {code.function} once the file is imported",
                "define it at the top level of the file, without a condition, and do not delete it",
            )
        return cls(call, code, function)

    @cached_property
    def place(self) -> str:
        """`mine.py:12`: the file and the line in which the function begins."""
        inner = getattr(unwrap(self.function), "__code__", None)
        if inner is None:
            return self.code.path
        lines = modules.source_paths(self.code).get(inner.co_filename, "").splitlines()
        first = inner.co_firstlineno  # which is that of a decorator, if there is one
        begins = (n for n, line in enumerate(lines, 1) if n >= first and line.lstrip().startswith("def "))
        return f"{inner.co_filename}:{next(begins, first)}"

    def wrong(self, what: str, help: str) -> StepError:
        """Return the error of a function that returns something wrong; `what` follows its name."""
        return StepError(f"{self.place}: {self.code.function} {what}", help)

    @cached_property
    def _parameters(self) -> Mapping[str, Parameter]:
        return signature(self.function).parameters

    @cached_property
    def positional(self) -> tuple[str, ...]:
        """The names of the parameters that are given by position."""
        return tuple(name for name, one in self._parameters.items() if one.kind is not Parameter.KEYWORD_ONLY)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the call that the function takes by name."""
        known = {**self.call.defaults, **dict(self.call.args)}
        return {name: value for name, value in known.items() if name in self._parameters}

    def __call__(self, seed: int, /, **values: Any) -> Any:
        """Call the function with those of `values` that it has a parameter for, and with the call's arguments.

        The global random states begin with `seed` in it; whatever it changes in the process is put back.
        """
        first = [values[name] for name in self.positional]
        with errors(self.code), contained(seed):
            return self.function(*first, **self.arguments)


@contextmanager
def errors(code: PluginCode) -> Iterator[None]:
    """Turn whatever a plug-in raises into a `StepError` that names its file and line.

    A keyboard interrupt, a full disk and a full GPU stay what they are.
    """
    try:
        yield
    except (StepError, KeyboardInterrupt, torch.OutOfMemoryError):
        raise
    except TooSlow as error:
        limit = f"{modules.import_seconds():g}"
        raise _failed(
            code,
            error,
            f"importing the file takes more than {limit} seconds",
            f"do long work inside the function; or give it longer, with {modules.LIMIT}=300 in the environment",
        ) from None
    except CalledExit as error:
        raise _failed(
            code, error, f"calls {error}, which would end the run", f"raise an error instead; {KEPT}"
        ) from None
    except Replaced as error:
        what = f"replaces {error}, which everything else in the process uses, too; it was put back"
        raise _failed(code, error, what, "call a function of your own instead") from None
    except ModuleNotFoundError as error:
        what = f"imports {error.name}, which is not installed where the step runs"
        help = f"install the package that has it, into the environment of satdsl; or take the import out; {KEPT}"
        raise _failed(code, error, what, help) from None
    except RecursionError as error:
        what = "calls itself without an end (RecursionError)"
        raise _failed(code, error, what, f"look at what the line calls; {KEPT}") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise _raised(code, error) from None
    except Exception as error:
        raise _raised(code, error) from None


def _raised(code: PluginCode, error: Exception) -> StepError:
    said = (str(error).splitlines() or [""])[0]
    return _failed(code, error, f"{type(error).__name__}: {said}" if said else type(error).__name__, KEPT)


def _failed(code: PluginCode, error: BaseException, what: str, help: str) -> StepError:
    """Return the error with the innermost place in the plug-in's files where it happened, and with its traceback."""
    texts = modules.source_paths(code)
    frames = [frame for frame in _frames(error.__traceback__) if frame.filename in texts]
    where, inside = code.path, ""
    if frames:
        last = frames[-1]
        where = f"{last.filename}:{last.lineno}"
        inside = "" if last.name == "<module>" else f"{last.name}: "
    found = StepError(f"{where}: {inside}{what}", help)
    found.details = "".join(traceback.format_exception(error))
    return found


def _frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(trace))


def imported(code: PluginCode) -> ModuleType:
    """Import the file of a plug-in, once in the life of the process; raise StepError where that goes wrong."""
    with errors(code), contained(0):
        return modules.module(code)


def named(codes: Sequence[PluginCode], error: Exception) -> Exception:
    """Return the error that names file and line for one that comes out of one of these codes; else the error itself."""
    if isinstance(error, StepError):
        return error
    files = {frame.filename for frame in _frames(error.__traceback__)}
    for code in codes:
        if files & modules.source_paths(code).keys():
            try:
                with errors(code):
                    raise error
            except Exception as found:
                return found
    return error
