"""A small editor: a real language server in a process of its own, spoken to over its standard input and output."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 60
"""How long an answer may take before a test gives up."""


class Refused(Exception):
    """The server answered with an error; the message is its."""


class Editor:
    """Sends what an editor sends. `log` has what the server logged, `shown` what it published of each document."""

    def __init__(
        self,
        encodings: list[str] | None = None,
        snippets: bool = False,
        command: tuple[str, ...] = ("-m", "satdsl", "lsp"),
        watches: bool = False,
    ) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.log: list[str] = []
        self.published: dict[str, dict[str, Any]] = {}
        self.texts: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._ids = itertools.count(1)
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._errors: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._listen_to_errors, daemon=True).start()
        general = {"positionEncodings": encodings} if encodings else {}
        item = {"completionItem": {"snippetSupport": snippets}}
        capabilities: dict[str, Any] = {"general": general, "textDocument": {"completion": item}}
        if watches:
            capabilities["workspace"] = {"didChangeWatchedFiles": {"dynamicRegistration": True}}
        self.capabilities = self.request(
            "initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities}
        )["capabilities"]
        self.notify("initialized", {})

    # --- the wire ---

    def _listen(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            length = 0
            while line := stream.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                self._answers.put({"closed": True})
                return
            self._answers.put(json.loads(stream.read(length)))

    def _listen_to_errors(self) -> None:
        assert self.process.stderr is not None
        self._errors += list(self.process.stderr)

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: Any) -> Any:
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                if "error" in message:
                    raise Refused(message["error"]["message"])
                return message["result"]

    def _next(self, seconds: float = SECONDS) -> dict[str, Any]:
        message = self._answers.get(timeout=seconds)
        assert "closed" not in message, b"".join(self._errors).decode()
        if message.get("method") == "textDocument/publishDiagnostics":
            self.published[message["params"]["uri"]] = message["params"]
        elif message.get("method") in ("window/logMessage", "window/showMessage"):
            self.log.append(message["params"]["message"])
        return message

    # --- documents ---

    def open(self, uri: str, text: str) -> None:
        self.texts[uri] = text
        self._versions[uri] = 1
        document = {"uri": uri, "languageId": "sat", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, start: int, end: int, text: str) -> None:
        """Replace characters `start` to `end`; columns are sent in UTF-16 units."""
        old = self.texts[uri]
        place = {"start": self.position(uri, start), "end": self.position(uri, end)}
        self.texts[uri] = old[:start] + text + old[end:]
        self._versions[uri] += 1
        self.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": uri, "version": self._versions[uri]},
                "contentChanges": [{"range": place, "text": text}],
            },
        )

    def write(self, uri: str, text: str) -> None:
        """Replace everything."""
        self.change(uri, 0, len(self.texts[uri]), text)

    def close(self, uri: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def position(self, uri: str, offset: int) -> dict[str, int]:
        before = self.texts[uri][:offset]
        line = before.rpartition("\n")[2]
        return {"line": before.count("\n"), "character": len(line.encode("utf-16-le")) // 2}

    def offset(self, uri: str, position: dict[str, int]) -> int:
        lines = self.texts[uri].split("\n")
        start = sum(len(line) + 1 for line in lines[: position["line"]])
        line = lines[position["line"]].encode("utf-16-le")[: 2 * position["character"]]
        return start + len(line.decode("utf-16-le"))

    def text_of(self, uri: str, range: dict[str, Any]) -> str:
        return self.texts[uri][self.offset(uri, range["start"]) : self.offset(uri, range["end"])]

    # --- features ---

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """Those of the version that was sent last."""
        while self.published.get(uri, {}).get("version") != self._versions[uri]:
            self._next()
        return list(self.published[uri]["diagnostics"])

    def next_diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """Those that are published next."""
        self.published.pop(uri, None)
        while uri not in self.published:
            self._next()
        return list(self.published[uri]["diagnostics"])

    def at(self, method: str, uri: str, offset: int, **more: Any) -> Any:
        place = {"textDocument": {"uri": uri}, "position": self.position(uri, offset)}
        return self.request(f"textDocument/{method}", {**place, **more})

    def of(self, method: str, uri: str, **more: Any) -> Any:
        return self.request(f"textDocument/{method}", {"textDocument": {"uri": uri}, **more})

    def whole(self, uri: str) -> dict[str, Any]:
        return {"start": {"line": 0, "character": 0}, "end": self.position(uri, len(self.texts[uri]))}

    def stop(self) -> bytes:
        """Say goodbye; what the server wrote to its standard error."""
        self.request("shutdown", None)
        self.notify("exit", None)
        assert self.process.wait(SECONDS) == 0
        return b"".join(self._errors)
