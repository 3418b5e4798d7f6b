"""Steps on tiny data, done once for all tests that read them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from satdsl.ir.steps import Data

from .workshop import Workshop, call, training

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("steps"))


@pytest.fixture(scope="session")
def digits(workshop: Workshop) -> Path:
    """All 1,797 digits."""
    return workshop.do(Data(call("digits")))


@pytest.fixture(scope="session")
def few_digits(workshop: Workshop) -> Path:
    """200 digits to train on and 60 to validate with."""
    return workshop.do(Data(call("digits", limit=200, limit_val=60)))


@pytest.fixture(scope="session")
def reference(workshop: Workshop, digits: Path) -> Path:
    """A network that reads digits, with the scores of four snapshots."""
    return workshop.do(training(4, model=call("small_cnn", width=8), snapshots=(1, 2, 3, 4)), data=digits)
