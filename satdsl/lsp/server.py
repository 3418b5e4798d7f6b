"""Receive the editor's messages on standard input and answer them on standard output, with pygls."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidRequest
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

from satdsl.check import library_networks
from satdsl.diagnostics import SpecError
from satdsl.format import edits
from satdsl.lsp import (
    completion,
    diagnostics,
    hover,
    inlay_hints,
    navigation,
    outline,
    rename,
    semantic_tokens,
    signature_help,
)
from satdsl.lsp.snapshot import Snapshot
from satdsl.lsp.workspace import Document, Workspace
from satdsl.version import __version__

T = TypeVar("T")

AT_ONCE = 0.05
"""Seconds. A file whose check takes less is checked at every keystroke."""

PAUSE = 0.1
"""Seconds without a keystroke after which a file is checked whose check takes longer, or that uses a changed file."""

IDLE = 1.0
"""Seconds without a check after which garbage is collected."""

_TRIGGERS = [" ", ".", "$", "(", "[", "=", '"', "|", "/"]


class Protocol(LanguageServerProtocol):
    """The protocol, with an answer to every request.

    pygls does not answer requests that it cannot read, or that come after the shutdown, and the editor would wait.
    """

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise

    def handle_message(self, message: Any) -> None:
        if self._shutdown and hasattr(message, "id") and hasattr(message, "method"):
            refused = JsonRpcInvalidRequest("the server has been shut down")
            self._send_response(message.id, error=refused.to_response_error())
        else:
            super().handle_message(message)


class Server(LanguageServer):
    """The server, with the open documents and the checks that are waiting."""

    def __init__(self) -> None:
        super().__init__("satdsl", __version__, protocol_cls=Protocol)
        self.open = Workspace()
        self.snippets = False
        self.can_watch = False
        """Whether the editor can be asked to tell of changed files."""
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._took: dict[str, float] = {}
        self._tidying: asyncio.TimerHandle | None = None

    def tidy(self) -> None:
        """Collect garbage at the next pause, since that takes longer than a keystroke may."""
        if self._tidying is not None:
            self._tidying.cancel()
        self._tidying = asyncio.get_running_loop().call_later(IDLE, gc.collect)

    def document(self, uri: str) -> Document | None:
        return self.open.documents.get(uri)

    def failed(self, what: str) -> None:
        """Write to the editor's log that satdsl has a bug."""
        message = f"{what} failed; this is a bug in satdsl, please report it:\n{traceback.format_exc()}"
        self.window_log_message(types.LogMessageParams(types.MessageType.Error, message))

    # --- diagnostics ---

    def changed(self, document: Document) -> None:
        """Check a document now or soon, and after it those that use it."""
        users = self.open.users_of(document.path)
        if self._took.get(document.uri, 0) < AT_ONCE:
            self.publish(document.uri)
        else:
            self.publish_soon(document.uri)
        for user in users:
            self.publish_soon(user.uri)

    def publish_soon(self, uri: str) -> None:
        self._cancel(uri)
        self._waiting[uri] = asyncio.get_running_loop().call_later(PAUSE, self.publish, uri)

    def _cancel(self, uri: str) -> None:
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()

    def publish(self, uri: str) -> None:
        self._cancel(uri)
        document = self.document(uri)
        if document is None:
            return
        begun = time.thread_time()
        try:
            found = diagnostics.diagnostics(self.open.snapshot(document))
        except Exception:
            self.failed(f"checking {uri}")
            found = []
        self._took[uri] = time.thread_time() - begun
        self.tidy()
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, document.version))

    def forget(self, uri: str) -> None:
        """Remove the findings of a document that was closed."""
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


server = Server()


def feature(method: str, options: Any = None) -> Callable[[Callable[[Any], T]], Callable[[Any], T | None]]:
    """Register what answers a request. If it fails, that is logged, and the answer is empty."""

    def register(answer: Callable[[Any], T]) -> Callable[[Any], T | None]:
        @wraps(answer)
        def safe(params: Any) -> T | None:
            try:
                return answer(params)
            except JsonRpcException:
                raise
            except Exception:
                server.failed(method)
                return None

        server.feature(method, options)(safe)
        return safe

    return register


def document_feature(
    method: str, answer: Callable[[Snapshot, Any], Any], options: Any = None, otherwise: Any = None
) -> None:
    """Register what answers a request about an open document; `otherwise` answers about one that is not open."""

    @feature(method, options)
    def respond(params: Any) -> Any:
        document = server.document(params.text_document.uri)
        return answer(server.open.snapshot(document), params) if document is not None else otherwise


def position_feature(method: str, answer: Callable[[Snapshot, int], Any], options: Any = None) -> None:
    """Register what answers a request about a position in an open document."""
    document_feature(method, lambda snapshot, params: answer(snapshot, _offset(snapshot, params)), options)


def _offset(snapshot: Snapshot, params: Any) -> int:
    return snapshot.positions.offset(params.position)


# --- documents -----------------------------------------------------------------------------------


@feature(types.INITIALIZE)
def _initialize(params: types.InitializeParams) -> None:
    server.open.encoding = types.PositionEncodingKind(server.workspace.position_encoding or "utf-16").value
    text = params.capabilities.text_document
    item = text.completion.completion_item if text is not None and text.completion is not None else None
    server.snippets = bool(item is not None and item.snippet_support)
    around = params.capabilities.workspace
    watched = around.did_change_watched_files if around is not None else None
    server.can_watch = bool(watched is not None and watched.dynamic_registration)


@feature(types.INITIALIZED)
def _initialized(params: types.InitializedParams) -> None:
    """Ask the editor to tell of files that change without being open here, such as Python files."""
    if server.can_watch:
        watchers = [types.FileSystemWatcher(glob_pattern=f"**/*.{ending}") for ending in ("sat", "py")]
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = types.Registration("files", method, options)
        server.client_register_capability(types.RegistrationParams([registration]))


@feature(types.TEXT_DOCUMENT_DID_OPEN)
def _did_open(params: types.DidOpenTextDocumentParams) -> None:
    given = params.text_document
    document = server.open.open(given.uri, given.text, given.version)
    server.changed(document)
    for other in server.open.documents.values():
        if other is not document:
            server.publish_soon(other.uri)


@feature(types.TEXT_DOCUMENT_DID_CHANGE)
def _did_change(params: types.DidChangeTextDocumentParams) -> None:
    document = server.document(params.text_document.uri)
    if document is not None:
        document.change(params.content_changes, server.open.encoding)
        document.version = params.text_document.version
        server.changed(document)


@feature(types.TEXT_DOCUMENT_DID_CLOSE)
def _did_close(params: types.DidCloseTextDocumentParams) -> None:
    document = server.document(params.text_document.uri)
    if document is not None:
        users = server.open.users_of(document.path)
        server.open.close(document.uri)
        server.forget(document.uri)
        for user in users:
            server.publish_soon(user.uri)


@feature(types.TEXT_DOCUMENT_DID_SAVE)
def _did_save(params: types.DidSaveTextDocumentParams) -> None:
    _disk_changed()


@feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
def _did_change_watched_files(params: types.DidChangeWatchedFilesParams) -> None:
    _disk_changed()


def _disk_changed() -> None:
    server.open.disk_changed()
    for document in server.open.documents.values():
        server.publish_soon(document.uri)


# --- positions -----------------------------------------------------------------------------------


def _completion(snapshot: Snapshot, offset: int) -> list[types.CompletionItem]:
    return completion.completion(snapshot, offset, snippets=server.snippets)


def _around(params: Any) -> list[Snapshot]:
    return server.open.around(server.open.documents[params.text_document.uri])


def _references(snapshot: Snapshot, params: types.ReferenceParams) -> list[types.Location]:
    with_definition = params.context.include_declaration
    return navigation.references(_around(params), snapshot, _offset(snapshot, params), with_definition)


def _prepare_rename(snapshot: Snapshot, offset: int) -> types.PrepareRenamePlaceholder:
    try:
        found = rename.renameable(snapshot, offset)
    except rename.CannotRename as error:
        raise _refused(error) from None
    return types.PrepareRenamePlaceholder(snapshot.positions.span(found.span), found.symbol.name)


def _rename(snapshot: Snapshot, params: types.RenameParams) -> types.WorkspaceEdit:
    try:
        return rename.rename(_around(params), snapshot, _offset(snapshot, params), params.new_name)
    except rename.CannotRename as error:
        raise _refused(error) from None


def _refused(error: rename.CannotRename) -> JsonRpcException:
    return JsonRpcException(str(error), types.LSPErrorCodes.RequestFailed)


position_feature(types.TEXT_DOCUMENT_COMPLETION, _completion, types.CompletionOptions(trigger_characters=_TRIGGERS))
position_feature(
    types.TEXT_DOCUMENT_SIGNATURE_HELP,
    signature_help.signature_help,
    types.SignatureHelpOptions(trigger_characters=["(", ",", "="]),
)
position_feature(types.TEXT_DOCUMENT_HOVER, hover.hover)
position_feature(types.TEXT_DOCUMENT_DEFINITION, navigation.definition)
position_feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, navigation.highlights)
position_feature(types.TEXT_DOCUMENT_PREPARE_RENAME, _prepare_rename)
document_feature(types.TEXT_DOCUMENT_REFERENCES, _references)
document_feature(types.TEXT_DOCUMENT_RENAME, _rename, types.RenameOptions(prepare_provider=True))


# --- whole documents -----------------------------------------------------------------------------


def _inlay_hints(snapshot: Snapshot, params: types.InlayHintParams) -> list[types.InlayHint]:
    return inlay_hints.inlay_hints(snapshot, *_offsets(snapshot, params.range))


def _code_actions(snapshot: Snapshot, params: types.CodeActionParams) -> list[types.CodeAction]:
    only = params.context.only
    if only is not None and not {types.CodeActionKind.Empty, types.CodeActionKind.QuickFix} & {*only}:
        return []
    return diagnostics.code_actions(snapshot, *_offsets(snapshot, params.range))


def _offsets(snapshot: Snapshot, range: types.Range) -> tuple[int, int]:
    return snapshot.positions.offset(range.start), snapshot.positions.offset(range.end)


def _semantic_tokens(snapshot: Snapshot, params: types.SemanticTokensParams) -> types.SemanticTokens:
    return types.SemanticTokens(semantic_tokens.semantic_tokens(snapshot))


def _formatting(snapshot: Snapshot, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    try:
        changed = edits(snapshot.source)
    except SpecError:
        return None  # The findings are shown already.
    return [types.TextEdit(snapshot.positions.span(span), text) for span, text in changed]


document_feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, lambda snapshot, params: outline.document_symbols(snapshot))
document_feature(types.TEXT_DOCUMENT_FOLDING_RANGE, lambda snapshot, params: outline.folding_ranges(snapshot))
document_feature(types.TEXT_DOCUMENT_DOCUMENT_LINK, lambda snapshot, params: navigation.links(snapshot))
document_feature(
    types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, _semantic_tokens, semantic_tokens.LEGEND, types.SemanticTokens([])
)
document_feature(types.TEXT_DOCUMENT_INLAY_HINT, _inlay_hints)
document_feature(
    types.TEXT_DOCUMENT_CODE_ACTION,
    _code_actions,
    types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
)
document_feature(types.TEXT_DOCUMENT_FORMATTING, _formatting)


def _is_bug(record: logging.LogRecord) -> bool:
    """Say whether a log record is about a bug, and not about a request that was refused with a reason."""
    return record.exc_info is None or not isinstance(record.exc_info[1], JsonRpcException)


def serve() -> None:
    """Answer one editor until it ends the session."""
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_bug)
    library_networks.asks = False
    gc.freeze()
    gc.set_threshold(1_000_000, 2, 2)
    server.start_io()
