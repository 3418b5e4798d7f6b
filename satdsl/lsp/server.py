"""The editor's messages to the features that answer them: a thin shell over pygls, on standard input and output."""

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

from satdsl.diagnostics import SpecError
from satdsl.format import edits
from satdsl.lsp import completion, diagnostics, hints, hover, navigation, outline, rename, signature, tokens
from satdsl.lsp.view import View
from satdsl.lsp.workspace import Document, Workspace
from satdsl.version import __version__

T = TypeVar("T")

AT_ONCE = 0.05
"""Seconds: a file that is checked faster is checked at every keystroke."""

PAUSE = 0.1
"""Seconds without a keystroke after which a file that takes longer, and those that use a changed one, are checked."""

IDLE = 1.0
"""Seconds without a check after which garbage is collected."""

_TRIGGERS = [" ", ".", "$", "(", "[", "=", '"', "|", "/"]


class Protocol(LanguageServerProtocol):
    """Answers every request: pygls is silent where it cannot read one, or has been shut down, and the editor waits."""

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
    """Keeps the open documents, and what is still to be checked."""

    def __init__(self) -> None:
        super().__init__("satdsl", __version__, protocol_cls=Protocol)
        self.open = Workspace()
        self.snippets = False
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._took: dict[str, float] = {}
        self._tidying: asyncio.TimerHandle | None = None

    def tidy(self) -> None:
        """Look for cycles of garbage at the first pause: it takes longer than a keystroke may."""
        if self._tidying is not None:
            self._tidying.cancel()
        self._tidying = asyncio.get_running_loop().call_later(IDLE, gc.collect)

    def document(self, uri: str) -> Document | None:
        return self.open.documents.get(uri)

    def failed(self, what: str) -> None:
        """Tell the editor's log of a mistake in satdsl."""
        message = f"{what} failed; this is a mistake in satdsl, please report it:\n{traceback.format_exc()}"
        self.window_log_message(types.LogMessageParams(types.MessageType.Error, message))

    # --- diagnostics ---

    def changed(self, document: Document) -> None:
        """Check a document now or soon, and later those that use it."""
        users = self.open.users_of(document.path)
        if self._took.get(document.uri, 0) < AT_ONCE:
            self.publish(document.uri)
        else:
            self.publish_soon(document.uri)
        for user in users:
            self.publish_soon(user.uri)

    def publish_soon(self, uri: str) -> None:
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()
        self._waiting[uri] = asyncio.get_running_loop().call_later(PAUSE, self.publish, uri)

    def publish(self, uri: str) -> None:
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()
        document = self.document(uri)
        if document is None:
            return
        begun = time.thread_time()
        try:
            found = diagnostics.diagnostics(self.open.view(document), self.open.uri_of)
        except Exception:
            self.failed(f"checking {uri}")
            found = []
        self._took[uri] = time.thread_time() - begun
        self.tidy()
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, document.version))

    def forget(self, uri: str) -> None:
        """A closed document has no findings."""
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


server = Server()


def feature(method: str, options: Any = None) -> Callable[[Callable[[Any], T]], Callable[[Any], T | None]]:
    """Register what answers a request. Whatever goes wrong in it is logged, and the answer is empty."""

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


def _view(params: Any) -> View | None:
    document = server.document(params.text_document.uri)
    return server.open.view(document) if document is not None else None


def _place(params: Any) -> tuple[View, int] | None:
    view = _view(params)
    return (view, view.positions.offset(params.position)) if view is not None else None


# --- documents -----------------------------------------------------------------------------------


@feature(types.INITIALIZE)
def _initialize(params: types.InitializeParams) -> None:
    server.open.encoding = types.PositionEncodingKind(server.workspace.position_encoding or "utf-16").value
    text = params.capabilities.text_document
    item = text.completion.completion_item if text is not None and text.completion is not None else None
    server.snippets = bool(item is not None and item.snippet_support)


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


# --- what stands at a place ----------------------------------------------------------------------


@feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=_TRIGGERS))
def _completion(params: types.CompletionParams) -> list[types.CompletionItem]:
    at = _place(params)
    return completion.completion(*at, snippets=server.snippets) if at is not None else []


@feature(types.TEXT_DOCUMENT_SIGNATURE_HELP, types.SignatureHelpOptions(trigger_characters=["(", ",", "="]))
def _signature_help(params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    at = _place(params)
    return signature.signature(*at) if at is not None else None


@feature(types.TEXT_DOCUMENT_HOVER)
def _hover(params: types.HoverParams) -> types.Hover | None:
    at = _place(params)
    return hover.hover(*at) if at is not None else None


@feature(types.TEXT_DOCUMENT_DEFINITION)
def _definition(params: types.DefinitionParams) -> list[types.Location]:
    at = _place(params)
    return navigation.definition(*at, server.open.uri_of) if at is not None else []


@feature(types.TEXT_DOCUMENT_REFERENCES)
def _references(params: types.ReferenceParams) -> list[types.Location]:
    document, at = server.document(params.text_document.uri), _place(params)
    if document is None or at is None:
        return []
    declaration = params.context.include_declaration
    return navigation.references(server.open.around(document), *at, declaration, server.open.uri_of)


@feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
def _highlights(params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
    at = _place(params)
    return navigation.highlights(*at) if at is not None else []


@feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
def _prepare_rename(params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
    at = _place(params)
    if at is None:
        return None
    try:
        use, key = rename.renameable(*at)
    except rename.CannotRename as error:
        raise _refused(error) from None
    return types.PrepareRenamePlaceholder(at[0].positions.span(use.span), key.name)


@feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
def _rename(params: types.RenameParams) -> types.WorkspaceEdit | None:
    document, at = server.document(params.text_document.uri), _place(params)
    if document is None or at is None:
        return None
    try:
        return rename.rename(server.open.around(document), *at, params.new_name, server.open.uri_of)
    except rename.CannotRename as error:
        raise _refused(error) from None


def _refused(error: rename.CannotRename) -> JsonRpcException:
    return JsonRpcException(str(error), types.LSPErrorCodes.RequestFailed)


# --- a whole file --------------------------------------------------------------------------------


@feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def _document_symbol(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    view = _view(params)
    return outline.symbols(view) if view is not None else []


@feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
def _folding_range(params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    view = _view(params)
    return outline.folds(view) if view is not None else []


@feature(types.TEXT_DOCUMENT_DOCUMENT_LINK)
def _document_link(params: types.DocumentLinkParams) -> list[types.DocumentLink]:
    view = _view(params)
    return navigation.links(view) if view is not None else []


@feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, tokens.LEGEND)
def _semantic_tokens(params: types.SemanticTokensParams) -> types.SemanticTokens:
    view = _view(params)
    return types.SemanticTokens(tokens.tokens(view) if view is not None else [])


@feature(types.TEXT_DOCUMENT_INLAY_HINT)
def _inlay_hint(params: types.InlayHintParams) -> list[types.InlayHint]:
    view = _view(params)
    if view is None:
        return []
    start, end = (view.positions.offset(place) for place in (params.range.start, params.range.end))
    return hints.hints(view, start, end)


@feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]))
def _code_action(params: types.CodeActionParams) -> list[types.CodeAction]:
    view, only = _view(params), params.context.only
    if view is None or (only is not None and not {types.CodeActionKind.Empty, types.CodeActionKind.QuickFix} & {*only}):
        return []
    start, end = (view.positions.offset(place) for place in (params.range.start, params.range.end))
    return diagnostics.actions(view, start, end, server.open.uri_of)


@feature(types.TEXT_DOCUMENT_FORMATTING)
def _formatting(params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    view = _view(params)
    if view is None:
        return None
    try:
        changed = edits(view.source)
    except SpecError:
        return None  # what is wrong is underlined already
    return [types.TextEdit(view.positions.range(span.start, span.end), text) for span, text in changed]


def _is_mistake(record: logging.LogRecord) -> bool:
    """A request that is refused with a reason is no mistake, and has no place in a log."""
    return record.exc_info is None or not isinstance(record.exc_info[1], JsonRpcException)


def serve() -> None:
    """Answer one editor until it says goodbye."""
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_mistake)
    gc.freeze()
    gc.set_threshold(1_000_000, 2, 2)
    server.start_io()
