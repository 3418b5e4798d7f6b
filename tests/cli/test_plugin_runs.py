"""`satdsl run` with Python of the user's own: the same bits wherever and however, and what hostile code can do."""

from __future__ import annotations

import json
import os
import signal
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from satdsl.backend import training_checkpoint
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.compile import compile_file
from satdsl.engine.local_store import LocalStore
from tests.command_line import go_somewhere_empty, satdsl

MIFGSM = '''
import torch
from torch.nn import functional as F

import satdsl.plugin as sat


@sat.attack(passes="steps")
def mifgsm(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, steps: int = 5):
    """Ascent along a running sum of gradients, from a random start."""
    moved, total = (images + 0.01 * torch.rand_like(images)).clamp(0, 1), torch.zeros_like(images)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(moved), labels, reduction="sum"), moved)
        total = total + gradient / gradient.abs().sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
        moved = (images + (moved.detach() + eps / steps * total.sign() - images).clamp(-eps, eps)).clamp(0, 1)
    return moved
'''

SPEC = """sat 1
use "mine.py"
dataset d = digits(limit=100, limit_val=30, holdout=30%)
model   m = small_cnn(width=4)
attack  a = mifgsm(norm=Linf, eps=0.1, steps=2)
recipe  r = sgd(epochs=4, batch=50, lr=0.1)
train   t = m on d using r { attack all with a; select by robust accuracy under a every 2 epochs }
evaluate t { robust = robust accuracy under a on val }
"""


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_somewhere_empty(tmp_path, monkeypatch, 200)
    torch.set_num_threads(1)
    Path("mine.py").write_text(MIFGSM, "utf-8")
    Path("mine.sat").write_text(SPEC, "utf-8")


def weights(store: str) -> bytes:
    """Return the bytes of the network's file in a store."""
    key = compile_file(Path("mine.sat")).plan.named["t"][0][1]
    return (LocalStore(Path(store)).fetch(key) / "weights.safetensors").read_bytes()


# --- the same bits ----------------------------------------------------------------------------------


def test_a_plugin_gives_the_same_bits_alone_in_several_processes_and_after_a_kill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    assert satdsl("run", "mine.sat", "--store", "alone").exit_code == 0
    assert satdsl("run", "mine.sat", "--store", "two", "--jobs", "2").exit_code == 0
    assert weights("alone") == weights("two")
    assert _killed_after_a_checkpoint("mine.sat", "killed") == signal.SIGKILL
    again = satdsl("run", "mine.sat", "--store", "killed")
    assert again.exit_code == 0
    assert "train t (continued)" in again.stderr
    assert weights("alone") == weights("killed")


def _killed_after_a_checkpoint(spec: str, store: str) -> int:
    """Run a specification in a child that dies right after it saves the state of a training for the second time."""
    child = os.fork()
    if not child:
        saved, save = 0, TrainingCheckpoint.save

        def saving(self: TrainingCheckpoint, state: dict[str, object]) -> None:
            nonlocal saved
            save(self, state)
            saved += 1
            if saved == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        training_checkpoint.SAVE_SECONDS, TrainingCheckpoint.save = -1.0, saving  # type: ignore[method-assign]
        try:
            satdsl("run", spec, "--store", store)
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def test_a_plugin_gives_the_same_bits_on_ray() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'satdsl[ray]'")
    assert satdsl("run", "mine.sat", "--store", "alone").exit_code == 0
    assert satdsl("run", "mine.sat", "--store", "ray", "--executor", "ray").exit_code == 0
    assert weights("alone") == weights("ray")


# --- leave to run -----------------------------------------------------------------------------------


def test_a_run_says_what_python_it_executes_before_the_first_step_and_can_refuse() -> None:
    refused = satdsl("run", "mine.sat", "--no-python")
    assert refused.exit_code == 2
    assert "error: the run would execute mine.py (sha256 " in refused.stderr
    assert not list(Path(".satdsl").glob("artifacts/*/manifest.json"))
    ran = satdsl("run", "mine.sat").stderr.splitlines()
    assert ran[1].startswith("runs mine.py (sha256 ")
    assert ran[2].startswith("[1/3]")
    assert "runs mine.py" not in satdsl("run", "mine.sat").stderr
    assert satdsl("run", "mine.sat", "--no-python").exit_code == 0  # nothing is left to execute


def test_from_python_a_run_can_be_refused_too() -> None:
    import satdsl as api

    with pytest.raises(api.PythonRefused, match=r"would execute mine\.py"):
        api.load("mine.sat").run(python=False, progress=False)


# --- hostile code -----------------------------------------------------------------------------------


def hostile(inside: str = "pass", outside: str = "") -> None:
    Path("mine.py").write_text(
        f"{outside}\nimport satdsl.plugin as sat\n\n@sat.attack\n"
        f"def mifgsm(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, steps: int = 5):\n"
        f"    {inside}\n    return images\n",
        "utf-8",
    )


def test_what_code_prints_becomes_events_and_damages_no_json() -> None:
    hostile("import sys; print('to stdout {'); sys.stderr.write('to stderr\\n'); print('\\x1b[2J\\x07')")
    ran = satdsl("run", "mine.sat", "--log-format", "json")
    assert ran.exit_code == 0
    events = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    printed = {event["text"] for event in events if event["event"] == "step-printed"}
    assert {"to stdout {", "to stderr", " [2J "} <= printed
    assert "to std" not in ran.stdout
    assert [event["path"] for event in events if event["event"] == "python-runs"] == ["mine.py"]


@pytest.mark.parametrize(
    ("inside", "outside", "said"),
    [
        ("raise RuntimeError('no luck')", "", "mine.py:6: mifgsm: RuntimeError: no luck"),
        ("import os; os._exit(3)", "", "mine.py:6: mifgsm: calls os._exit(3)"),
        ("return images * float('nan')", "", "mine.py:5: mifgsm returns NaN or infinity"),
        ("return images[1:]", "", "mine.py:5: mifgsm returns a tensor of shape"),
        ("return (images + 0.2).clamp(0, 1)", "", "out of the ball: by 0.2 in Linf, where eps is 0.1"),
        ("import nowhere", "", "mine.py:6: mifgsm: imports nowhere, which is not installed"),
        ("pass", "while True: pass", "mine.py:1: importing the file takes more than 0.3 seconds"),
    ],
)
def test_hostile_code_fails_its_step_by_name_and_nothing_else(
    inside: str, outside: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SATDSL_PLUGIN_SECONDS", "0.3")
    hostile(inside, outside)
    ran = satdsl("run", "mine.sat")
    assert ran.exit_code == 3
    assert said in ran.stderr
    assert "done    data d" in ran.stderr
    status = json.loads(satdsl("status", "mine.sat", "--format", "json").stdout)
    failed = [step for step in status["steps"] if step["state"] == "failed"]
    assert [said in step["reason"] for step in failed] == [True]
    Path("mine.py").write_text(MIFGSM, "utf-8")
    assert satdsl("run", "mine.sat").exit_code == 0


def test_ctrl_c_ends_a_function_and_what_is_finished_is_kept() -> None:
    hostile("raise KeyboardInterrupt")
    ran = satdsl("run", "mine.sat")
    assert ran.exit_code == 130
    assert "stopped: 1 step finished and kept" in ran.stderr
    Path("mine.py").write_text(MIFGSM, "utf-8")
    assert satdsl("run", "mine.sat").exit_code == 0


def test_a_manifest_has_the_versions_of_what_the_code_imports() -> None:
    hostile(outside="import yaml")
    assert satdsl("run", "mine.sat").exit_code == 0
    key = compile_file(Path("mine.sat")).plan.named["t"][0][1]
    manifest = json.loads((LocalStore(Path(".satdsl")).fetch(key) / "manifest.json").read_text("utf-8"))
    assert manifest["packages"]["yaml"] == version("pyyaml")


@pytest.mark.parametrize("command", [["check"], ["explain"], ["fmt", "--check"], ["run", "--no-python"], ["status"]])
def test_nothing_but_a_run_executes_the_file(command: list[str]) -> None:
    hostile(outside="open('executed', 'w')")
    satdsl(command[0], "mine.sat", *command[1:])
    assert not Path("executed").exists()
