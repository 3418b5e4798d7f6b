"""Keep the open documents and what is known about each current, with as little work as possible."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from lsprotocol import types
from pygls.uris import from_fs_path, to_fs_path

from satdsl import folder_contents
from satdsl.check import Analysis, analyse
from satdsl.check.definition_cache import DefinitionCache
from satdsl.check.used_files import FileReader
from satdsl.findings import Finding, Source
from satdsl.folder_contents import Contents
from satdsl.ir.experiment import SweepTable
from satdsl.lsp.positions import Positions
from satdsl.lsp.snapshot import Snapshot
from satdsl.syntax import tree
from satdsl.syntax.incremental import IncrementalReader

MOST_FILES = 500
"""The most files of a folder that are searched for uses of a file."""

_BIGGEST = 2_000_000
"""The most bytes of a file that is searched."""

_QUICK = 0.2
"""Seconds. A folder of images that takes longer to list is listed again only after..."""

_SELDOM = 20
"""... so many times the time that it took."""


def path_of(uri: str) -> str:
    """Return the path of a document's address. A document that is not saved yet gets one without a folder."""
    return os.path.normpath(to_fs_path(uri) or uri.rpartition(":")[2] or "untitled")


class Document:
    """A file that is open in the editor."""

    def __init__(self, uri: str, text: str, version: int | None) -> None:
        self.uri = uri
        self.path = path_of(uri)
        self.version = version
        self.source = Source(self.path, text)
        self.cache = DefinitionCache()
        self.settled: dict[str, tuple[str, SweepTable[object]]] = {}
        """Each definition as it was when it last could be resolved, and the text that it had then."""
        self.analysis: Analysis | None = None
        self.snapshot: Snapshot | None = None

    def change(self, changes: Sequence[types.TextDocumentContentChangeEvent], encoding: str) -> None:
        text = self.source.text
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                at = Positions(Source(self.path, text), encoding)
                start, end = sorted((at.offset(change.range.start), at.offset(change.range.end)))
                text = text[:start] + change.text + text[end:]
            else:
                text = change.text
        self.source = Source(self.path, text)


class Workspace(FileReader):
    """The open documents, and what is known about them. The text of an open document counts, not its file on disk."""

    def __init__(self, encoding: str = "utf-16") -> None:
        super().__init__()
        self.encoding = encoding
        self.documents: dict[str, Document] = {}
        self._disk: dict[str, tuple[tuple[int, int], Source]] = {}
        self._readers: dict[str, IncrementalReader] = {}
        self._listed_until: dict[Path, float] = {}
        self._trees: dict[str, tuple[Source, tuple[tree.File, list[Finding]]]] = {}

    # --- documents ---

    def open(self, uri: str, text: str, version: int | None = None) -> Document:
        document = self.documents[uri] = Document(uri, text, version)
        self.disk_changed()
        return document

    def close(self, uri: str) -> None:
        self.documents.pop(uri, None)

    def disk_changed(self) -> None:
        """Take note that files which specifications read (rankings, weights, folders of images) may have changed."""
        for document in self.documents.values():
            document.cache.disk += 1
            document.analysis = None
        now = time.monotonic()
        for place in [place for place, until in self._listed_until.items() if until < now]:
            self._folders.pop(place, None)

    def uri_of(self, path: str) -> str:
        """Return the address of a file, as the editor writes it if the file is open."""
        document = self._open_at(Path(path))
        return document.uri if document is not None else from_fs_path(os.path.abspath(path)) or path

    def users_of(self, path: str) -> list[Document]:
        """Return the open documents that used a file when they were last checked."""
        return [
            document
            for document in self.documents.values()
            if document.path != path
            and document.analysis is not None
            and any(_same(source.path, path) for source in document.analysis.program.sources)
        ]

    def _open_at(self, path: Path) -> Document | None:
        return next((document for document in self.documents.values() if _same(document.path, str(path))), None)

    # --- reading ---

    def source(self, path: Path, shown: str) -> Source:
        document = self._open_at(path)
        if document is not None:
            return document.source
        status = path.stat()
        stamp = status.st_mtime_ns, status.st_size
        kept = self._disk.get(shown)
        if kept is None or kept[0] != stamp:
            kept = self._disk[shown] = stamp, super().source(path, shown)
        return kept[1]

    def read(self, source: Source) -> tuple[tree.File, list[Finding]]:
        kept = self._trees.get(source.path)
        if kept is None or kept[0] is not source:
            reader = self._readers.setdefault(source.path, IncrementalReader())
            kept = self._trees[source.path] = source, reader.read(source)
        return kept[1]

    def folder(self, place: Path) -> Contents:
        """List a folder of images, and say what the cache knows of them.

        A person who types must not wait, so no image is opened, and a folder that takes long to list is listed seldom.
        """
        if place not in self._folders:
            begun = time.monotonic()
            self._folders[place] = folder_contents.read_nothing(place)
            took = time.monotonic() - begun
            self._listed_until[place] = time.monotonic() + _SELDOM * took * (took > _QUICK)
        return self._folders[place]

    # --- checking ---

    def snapshot(self, document: Document) -> Snapshot:
        """Return what is known about a document as it is now."""
        analysis = self._analysis(document)
        if document.snapshot is None or document.snapshot.analysis is not analysis:
            at = Positions(document.source, self.encoding)
            file, _ = self.read(document.source)
            chunks = self._readers[document.path].chunks
            document.snapshot = Snapshot(document.source, file, chunks, analysis, at, document.settled, self.uri_of)
        return document.snapshot

    def _analysis(self, document: Document) -> Analysis:
        if document.analysis is None or not self._current(document.analysis):
            document.analysis = analyse(document.source, None, self, document.cache)
            _remember(document.settled, document.analysis)
        return document.analysis

    def _current(self, analysis: Analysis) -> bool:
        python = (source for file in analysis.program.plugins.values() for _, source in file.code.sources)
        return all(map(self._is_current, (*analysis.program.sources, *python)))

    def _is_current(self, source: Source) -> bool:
        try:
            return self.source(Path(source.path), source.path) is source
        except (OSError, ValueError):
            return False

    # --- other files ---

    def around(self, document: Document) -> list[Snapshot]:
        """Return the document and every file nearby that uses it, directly or not: its symbols may occur there."""
        snapshots = [self.snapshot(document)]
        for path in self._nearby(document):
            if not _same(path, document.path):
                other = self._open_at(Path(path)) or self._unopened(path)
                if other is not None and self._may_use(other.source, document):
                    snapshot = self.snapshot(other)
                    if any(_same(source.path, document.path) for source in snapshot.analysis.program.sources):
                        snapshots.append(snapshot)
        return snapshots

    def _nearby(self, document: Document) -> list[str]:
        folders = {os.path.dirname(other.path) for other in self.documents.values()}
        found: dict[str, None] = {other.path: None for other in self.documents.values()}
        for folder in sorted(folders):
            try:
                names = sorted(name for name in os.listdir(folder or ".") if name.endswith(".sat"))
            except OSError:
                continue
            found |= dict.fromkeys(os.path.join(folder, name) for name in names[:MOST_FILES])
        return list(found)

    def _unopened(self, path: str) -> Document | None:
        try:
            if os.path.getsize(path) > _BIGGEST:
                return None
            source = self.source(Path(path), path)
        except (OSError, ValueError):
            return None
        document = Document(from_fs_path(path) or path, "", None)
        document.source = source
        return document

    def _may_use(self, source: Source, document: Document) -> bool:
        return "use" in source.text and any(isinstance(s, tree.Use) for s in self.read(source)[0].statements)


def _remember(settled: dict[str, tuple[str, SweepTable[object]]], analysis: Analysis) -> None:
    """Keep what could be resolved; and what could be before, of statements that are the same or cannot be read now."""
    for name, statement in analysis.scope.statements.items():
        text = statement.span.text
        family = analysis.definitions.get(name)
        if family is not None:
            settled[name] = text, family
        elif name in settled and settled[name][0] != text:
            del settled[name]
    for name in settled.keys() - analysis.scope.statements.keys() - analysis.scope.broken:
        del settled[name]


def _same(one: str, other: str) -> bool:
    return os.path.normpath(one) == os.path.normpath(other)
