"""Threads of the backend: how they wait for each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="asks GNU's OpenMP, which torch brings along on Linux")
@pytest.mark.parametrize(("asked", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_without_spinning_unless_the_user_asks_for_it(asked: str | None, found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "true"} | ({"OMP_WAIT_POLICY": asked} if asked else {})
    code = "from satdsl.backend import images"
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stderr
    policies = re.findall(r"OMP_WAIT_POLICY = '(\w+)'", said)
    assert policies, "no OpenMP was loaded"
    assert set(policies) == {found}
