"""A real VS Code, headless: its server with the packed extension, and a page of it in Chromium."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import satdsl

ROOT = Path(__file__).parents[2]
PACKED = ROOT / "editors" / "vscode" / "satdsl.vsix"
INSTALLED = ROOT / "editors" / ".tools" / "node_modules" / "code-server" / "lib" / "vscode" / "out" / "server-main.js"
SERVER = Path(os.environ.get("VSCODE_SERVER") or INSTALLED)
"""The server of VS Code as `make -C editors in-vscode` installs it, or a `server-main.js` elsewhere."""

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 90_000
"""Milliseconds that something may take to appear on a busy machine."""

_SETTINGS = {
    "workbench.startupEditor": "none",
    "telemetry.telemetryLevel": "off",
    "extensions.autoCheckUpdates": False,
    "editor.minimap.enabled": False,
}


def project(folder: Path, name: str, text: str, with_satdsl: bool = True) -> Path:
    """A folder with a specification and, in its own environment, the satdsl under test."""
    folder.mkdir()
    (folder / name).write_text(text, "utf-8")
    if with_satdsl:
        own = folder / ".venv" / "bin" / "satdsl"
        own.parent.mkdir(parents=True)
        package = Path(satdsl.__file__).parents[1]
        own.write_text(f'#!/bin/sh\nPYTHONPATH="{package}" exec "{sys.executable}" -m satdsl "$@"\n')
        own.chmod(0o755)
    return folder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a VS Code server that has the extension and, on its PATH, no satdsl."""
    with zipfile.ZipFile(PACKED) as packed:
        packed.extractall(folder / "unpacked")
    shutil.copytree(folder / "unpacked" / "extension", folder / "extensions" / "satdsl.satdsl-0.1.0")
    settings = folder / "data" / "data" / "Machine" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(_SETTINGS))
    node = shutil.which("node") or "node"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [node, str(SERVER), "--host", "127.0.0.1", "--port", str(port), "--without-connection-token"]
    command += ["--accept-server-license-terms", "--disable-telemetry", "--server-data-dir", str(folder / "data")]
    command += ["--extensions-dir", str(folder / "extensions")]
    surroundings = {**os.environ, "HOME": str(folder), "PATH": f"{Path(node).parent}:/usr/bin:/bin"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=surroundings)
        try:
            _await(f"http://127.0.0.1:{port}/version")
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=20)


def _await(address: str) -> None:
    for _ in range(120):
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.5)
    raise TimeoutError(f"the server of VS Code does not answer at {address}")


def opened(browser: Any, address: str, folder: Path, name: str, trusted: bool = True, **options: Any) -> Any:
    """A page with a folder and one of its files, once its text is there and its author is trusted."""
    page = browser.new_page(**options)
    files = quote(json.dumps([["openFile", f"vscode-remote://{address}{folder}/{name}"]]))
    page.goto(f"http://{address}/?folder={quote(str(folder))}&payload={files}")
    page.wait_for_selector(".view-line span span", timeout=PATIENCE)
    if trusted:
        page.get_by_text("Yes, I trust the authors").click(timeout=PATIENCE)
    return page
