"""The digest of code: what changes it, what does not, and that it is the same under every version of Python."""

from __future__ import annotations

import ast

import pytest

from satdsl.catalog.plugins.syntax_digest import digest

EVERYTHING = '''"""What can stand in a file."""
from __future__ import annotations
import os, sys as system
from . import sibling
from typing import *

class A(B, metaclass=C):
    """Docs."""
    x: int = 1
    y: "str"

    @property
    async def f(self, a, /, b=1, *c: int, d=None, **e) -> None:
        """Docs."""
        global g
        async with x as y, z:
            async for i in j:
                await k
        return (yield)

def h(n):
    def inner():
        nonlocal n
        raise E from None
    try:
        assert n, "no"
    except* (A, B) as e:
        del n, m[0]
    finally:
        pass

match command:
    case {"a": [1, *_], **rest} if rest:
        pass
    case A(x=1) | None | -1 | "s":
        pass
    case _:
        pass

while (w := f(1, *a, b=2, **c)):
    if not w <= 2 < 3 != 4 is None in d:
        break
    elif w:
        continue
else:
    lambda x, *y: x if y else {**x, 1: 2, "k": {3, *z}}

v = f"{x!r:>{w}} {y:%Y-%m} {z=} {q:}" "abc" f"" if 1 else b"\\xff"
n = 1_000, 0xFF, 1e400, 1j, 10**3, ..., True, "\\u00e9\\U0001F600", [i for i in j if k for l in m], (a for b in c)
s[1:2, ::3] @= t >> 1 | ~2 ^ 3 & +4 // 5
'''


def of(text: str) -> str:
    return digest([("mine.py", ast.parse(text))])


def test_the_digest_is_what_python_3_11_to_3_13_gave():
    """Another one would change the keys of everything that is stored."""
    assert of(EVERYTHING) == "1ddd2fbe7e005b14f27a7d3258284b26219b252c3a8ae504bbb9fdbddef0ff8b"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 'a'", 'x = "a"  # a comment'),
        ("x = (1,\n     2,\n)", "x = 1, 2"),
        ("x = 0xff", "x = 255"),
        ("x = 'a' 'b'", "x = 'ab'"),
        ('def f():\n    """Docs."""\n    return 1', "def f():\n    return 1"),
        ('class A:\n    """Docs."""\n    x = 1', "class A:\n    x = 1"),
        ('"""Docs."""\nx = 1', "\n\nx = 1\n"),
        ("if a:\n  b\nelse:\n  if c:\n    d", "if a:\n    b\nelif c:\n    d"),
    ],
)
def test_what_means_the_same_has_the_same_digest(one, other):
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 'a'", "x = b'a'"),
        ("x = 'é'", "x = 'e\u0301'"),
        ("x = [1, 2]", "x = (1, 2)"),
        ("x = f'{a}'", "x = '{a}'"),
        ("x = f'{a!r}'", "x = f'{a!s}'"),
        ("x = f'{a:1}'", "x = f'{a}1'"),
        ("def f(a, b): pass", "def f(a, *, b): pass"),
        ("def f(a, b): pass", "def f(a, /, b): pass"),
        ("def f(): pass", "async def f(): pass"),
        ("import a.b", "from a import b"),
        ("from . import a", "from .. import a"),
        ("x = a - (b - c)", "x = a - b - c"),
        ("x = 'Docs.'\n", '"""Docs."""\n'),
        ("x = 1\n'Docs.'", "x = 1"),
        ("def f(a=None): pass", "def f(a): pass"),
        ("x = {1: 2}", "x = {1, 2}"),
        ("x: int", "x"),
        ("x = -0.0", "x = 0.0"),
    ],
)
def test_what_means_something_else_has_another_digest(one, other):
    assert of(one) != of(other)


def test_the_name_of_a_module_is_part_of_it():
    tree = ast.parse("x = 1")
    assert digest([("a.py", tree)]) != digest([("b.py", tree)])
    assert digest([("a.py", tree), ("b.py", tree)]) != digest([("b.py", tree), ("a.py", tree)])
