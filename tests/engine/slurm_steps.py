"""A Slurm of one node for tests; and what steps do in its jobs, which import it by name."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from satdsl.ir.steps import Step, Train
from satdsl.ir.work import Progress, Work
from tests.engine.fake_steps import write_artifact

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=1
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def performed(step: Step, work: Work) -> None:
    """Notes each attempt; the second training saves something and hangs, unless it finds what it had saved."""
    with open(work.data_root / "log", "a") as file:
        file.write(f"{step.key} {os.getpid()} {os.environ.get('SLURM_ARRAY_JOB_ID', '-')}\n")
    work.report(Progress(1, 2, "half"))
    saved = work.scratch / "saved"
    if isinstance(step.settings, Train) and step.settings.seed == 1 and not saved.exists():
        saved.write_text(str(os.getpid()))
        time.sleep(600)
    write_artifact(step, work.out)


def missing() -> str | None:
    """Why no Slurm can be started here, None if one can."""
    absent = [name for name in ("munged", "slurmctld", "slurmd", "srun") if shutil.which(name, path=_path()) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install munge slurmctld slurmd slurm-client"
    return None if os.geteuid() == 0 else "only root can start Slurm's daemons"


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Munge, a controller and a node, on the loopback interface; `SLURM_CONF` leads to them."""
    text = CONFIGURATION.format(folder=folder, host=socket.gethostname().split(".")[0], ports=_ports(), cpus=2)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    configuration, key = folder / "slurm.conf", folder / "munge.key"
    configuration.write_text(text)
    key.touch(0o600)
    key.write_bytes(os.urandom(1024))
    munge = [
        f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "key-file", "seed-file", "log-file")
    ]
    with ExitStack() as stack:
        stack.enter_context(_daemon("munged", "--foreground", "--force", f"--pid-file={folder}/munge.pid", *munge))
        _wait_for((folder / "munge.socket").exists)
        stack.enter_context(_daemon("slurmctld", "-D", "-f", str(configuration)))
        stack.enter_context(_daemon("slurmd", "-D", "-f", str(configuration)))
        os.environ["SLURM_CONF"] = str(configuration)
        stack.callback(os.environ.pop, "SLURM_CONF")
        _wait_for(lambda: "idle" in answer("sinfo", "--noheader", "--format=%T"))
        yield
        answer("scancel", "--user=root")
        _wait_for(lambda: not answer("squeue", "--noheader", "--states=RUNNING,COMPLETING"))


def answer(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


@contextmanager
def _daemon(*command: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"PATH": _path()}
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


def _ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _wait_for(condition: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "Slurm does not start"
        time.sleep(0.1)
