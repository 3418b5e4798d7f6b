"""Import the text of a plug-in, which travels with the step, as modules of a private package.

The text is what was checked, and the file on the disk is not read again. Every text has a package of its own, so two
files called `mine.py`, or two called `helpers.py`, never meet; nothing is put on `sys.path`. What a plug-in imports is
looked for among its own files first, wherever the import stands. The code bears the path of the user's file, so a
traceback shows the user's line.
"""

from __future__ import annotations

import builtins
import ctypes
import hashlib
import importlib
import importlib.abc
import importlib.util
import linecache
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

from satdsl.catalog.plugins import digest_of
from satdsl.catalog.plugins.packages import PACKAGE, with_version
from satdsl.ir.steps import PluginCode
from satdsl.ir.work import StepError

LIMIT = "SATDSL_PLUGIN_SECONDS"
"""The environment variable that says how many seconds a plug-in may take to be imported."""

SECONDS = 60.0
"""How many they are where it says nothing."""

PREFIX = "_satdsl_plugin_"
"""How the names of the private packages begin."""

_importing = threading.Lock()


class TooSlow(BaseException):
    """An import takes longer than it may. It is no `Exception`, so that the plug-in does not catch it by chance."""


def module(code: PluginCode) -> ModuleType:
    """Import the module of a plug-in's function, once in the life of the process.

    Raises:
        TooSlow: it takes longer than it may.
        BaseException: whatever the plug-in raises.
    """
    package = PREFIX + hashlib.sha256(repr((code.path, code.digest, code.files)).encode()).hexdigest()[:24]
    name = f"{package}.{dotted(code.files[0][0])}"
    with _importing:
        if not _finder().knows(package):
            _require_genuine(code)
            _finder().add(package, code)
        known = sys.modules.get(name)
        if known is not None:
            return known
        try:
            with time_limit(import_seconds()):
                return importlib.import_module(name)
        except BaseException:
            # What was imported half would be taken for whole the next time.
            for other in [other for other in sys.modules if other == package or other.startswith(f"{package}.")]:
                del sys.modules[other]
            raise


def _require_genuine(code: PluginCode) -> None:
    """Raise StepError if the text is not what the key says, in an artifact or a plan that somebody edited."""
    found = digest_of(dict(code.files)) if code.files else ""
    if code.place.startswith(PACKAGE):
        found = with_version(code.path, found)
    if code.digest != found:
        raise StepError(
            f"the code of {code.path} that came with the step is not the one that its key stands for",
            "plan anew from the specification; if the code came with a stored network, delete its artifact",
        )


def source_paths(code: PluginCode) -> dict[str, str]:
    """Return the text of each of a plug-in's files by the path that its code bears."""
    folder = Path(code.path).parent
    return {str(folder / name): text for name, text in code.files}


def import_seconds() -> float:
    """Return how many seconds an import may take; raise StepError where the setting is no number."""
    given = os.environ.get(LIMIT, "")
    try:
        return float(given) if given else SECONDS
    except ValueError:
        raise StepError(f"{LIMIT}={given} is no number of seconds", f"write it as in {LIMIT}=120") from None


def dotted(file: str) -> str:
    """Return the name of the module that a file is."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _Loader(importlib.abc.InspectLoader):
    """Loads one file of a plug-in from its text."""

    def __init__(self, text: str, path: str, package: str, names: frozenset[str]) -> None:
        self._text, self._path, self._package, self._names = text, path, package, names

    def get_source(self, fullname: str) -> str:
        return self._text

    def get_code(self, fullname: str) -> CodeType:
        # Tracebacks show lines of this text, whatever lies at its path by now.
        linecache.cache[self._path] = (len(self._text), None, self._text.splitlines(keepends=True), self._path)
        return compile(self._text, self._path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        own = vars(builtins) | {"__import__": _own_first(self._package, self._names)}
        module.__dict__["__builtins__"] = own
        exec(self.get_code(module.__name__), module.__dict__)


def _own_first(package: str, names: frozenset[str]) -> Callable[..., Any]:
    """Return an `__import__` that looks for a plug-in's own modules, of these names, before anything else."""

    def imported(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if level or name not in names:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{package}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{package}.{name.partition('.')[0]}"]

    return imported


def _names(files: Iterable[str]) -> frozenset[str]:
    """Return the names of the modules that some files are, and of the packages that these lie in."""
    modules = (dotted(file).split(".") for file in files)
    return frozenset(".".join(parts[:end]) for parts in modules for end in range(1, len(parts) + 1))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of the private packages, and of nothing else."""

    def __init__(self) -> None:
        self._packages: dict[str, PluginCode] = {}

    def knows(self, package: str) -> bool:
        return package in self._packages

    def add(self, package: str, code: PluginCode) -> None:
        self._packages[package] = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        code = self._packages.get(package)
        if code is None:
            return None
        shown, texts = Path(code.path).parent, dict(code.files)
        inside = rest.replace(".", "/")
        for file, is_package in ((f"{inside}.py", False), (f"{inside}/__init__.py", True)):
            if file in texts:
                loader = _Loader(texts[file], str(shown / file), package, _names(texts))
                where = str(Path(code.place).parent / file)
                spec = importlib.util.spec_from_loader(fullname, loader, origin=where, is_package=is_package)
                assert spec is not None
                spec.has_location = True
                return spec
        if not rest or any(name.startswith(f"{inside}/") for name in texts):
            return ModuleSpec(fullname, None, is_package=True)
        return None


_FINDER = _Finder()


def _finder() -> _Finder:
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    return _FINDER


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` in what runs inside as soon as it takes longer; again each second, should it be caught."""
    if threading.current_thread() is threading.main_thread():
        with _alarm(seconds):
            yield
    else:
        with _asynchronous(seconds):
            yield


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """A signal ends what waits, too, such as a `sleep`; only the main thread gets signals."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    handler = signal.signal(signal.SIGALRM, ring)
    before, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, before, interval)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def _asynchronous(seconds: float) -> Iterator[None]:
    """Another thread raises the error in this one, at the next line of Python."""
    over, thread = threading.Event(), ctypes.c_ulong(threading.get_ident())

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TooSlow))
            wait = 1.0

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
