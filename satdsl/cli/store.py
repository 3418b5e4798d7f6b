"""The commands `satdsl store ...`: list, check, delete and move stored artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from satdsl.cli import options
from satdsl.cli.app import store_app
from satdsl.cli.loading import compile_spec, load, open_store, open_store_to_read
from satdsl.cli.output import FAILED, USAGE, fail, say, stderr, stdout
from satdsl.cli.resume import resume_command

if TYPE_CHECKING:
    from satdsl.engine.manifest import Manifest
    from satdsl.engine.store import Store
    from satdsl.ir.steps import Key
    from satdsl.ir.work import Computation


@store_app.command("list")
def store_list(store: options.Store = options.STORE) -> None:
    """List the finished steps."""
    from satdsl.engine.errors import Damaged

    place = open_store_to_read(store)
    keys = sorted(place.keys())
    if not keys:
        say("no step is finished yet", stderr())
        return
    place.prefetch(keys)
    typer.echo(f"{'key':12}  {'kind':8}  {'seconds':>8}  {'size':>9}  what")
    for key in keys:
        try:
            found = place.manifest(key)
            numbers = f"{found.seconds:>8.1f}  {_bytes(found.size):>9}"
            typer.echo(f"{key[:12]}  {found.kind:8}  {numbers}  {found.label}")
        except Damaged as damaged:
            typer.echo(f"{key[:12]}  {'?':8}  {'':>8}  {'':>9}  damaged: {damaged.fault}")


@store_app.command("show")
def store_show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A key, or the first characters of one.")],
    store: options.Store = options.STORE,
) -> None:
    """Show a finished step: its settings, inputs and files, who made it, and how long that took."""
    from satdsl.engine.errors import Damaged

    place = open_store_to_read(store)
    found = _picked(place, key)
    try:
        _show(place, place.manifest(found))
    except Damaged as damaged:
        fail(str(damaged), FAILED, "`satdsl store verify` sets it aside, and the next run makes it again")


@store_app.command("verify")
def store_verify(store: options.Store = options.STORE) -> None:
    """Check every stored file against its digest. Damaged artifacts are set aside, and the next run remakes them."""
    place = open_store_to_read(store)
    faults = [(key, fault) for key in sorted(place.keys()) if (fault := place.verify(key))]
    for key, fault in faults:
        place.quarantine(key, fault)
        say(f"damaged: {key[:12]}: {fault}", stdout())
    say(f"{len(place.keys())} artifacts sound, {len(faults)} damaged", stdout())
    if faults:
        raise typer.Exit(FAILED)


@store_app.command("gc")
def store_gc(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The .sat files whose steps are kept.")],
    set_: options.Set = [],
    store: options.Store = options.STORE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and keep it.")] = False,
) -> None:
    """Delete every artifact that these specifications do not need, and what killed runs and damage have left."""
    from satdsl.engine.gc import delete_garbage, find_garbage

    keep = {key for file in files for key in compile_spec(file, set_).plan.steps}
    place = open_store_to_read(store)
    found = find_garbage(place, keep)
    for key in found.artifacts:
        typer.echo(f"{key[:12]}  {_bytes(found.artifacts[key]):>9}  {_label(place, key)}")
    for left in found.leftovers:
        typer.echo(f"{left.key[:12]}  {_bytes(left.size):>9}  {left.kind}: {left.place}")
    if dry_run:
        size = sum(found.artifacts.values()) + sum(left.size for left in found.leftovers)
        typer.echo(_freed("would free", len(found.artifacts), len(found.leftovers), size))
        return
    freed = delete_garbage(place, found)
    for key in sorted(freed.busy):
        typer.echo(f"kept {key[:12]}: {place.owner(key)} is running it")
    typer.echo(_freed("freed", freed.artifacts, freed.leftovers, freed.size))


@store_app.command("export")
def store_export(
    file: options.File,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, a tar archive.", show_default=False)],
    set_: options.Set = [],
    store: options.Store = options.STORE,
) -> None:
    """Write all stored steps of a specification to one file, which `satdsl store import` reads elsewhere."""
    from satdsl.engine import bundle

    spec = load(file, set_, store=store, reads_only=True)
    keys = [key for key in spec.plan.steps if spec.store.has(key)]
    if not keys:
        fail(f"the store {store} has no step of {file}", FAILED, f"run it first: {resume_command('run')}")
    spec.store.prefetch(keys)
    size = bundle.write(spec.store, keys, out)
    rest = sum(not spec.store.has(key) for key in spec.plan.shown)
    without = f"; {rest} of its steps are not stored" if rest else ""
    typer.echo(f"{out}: {_count(len(keys), 'artifact')}, {_bytes(size)}{without}")


@store_app.command("import")
def store_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `satdsl store export` wrote.")],
    store: options.Store = options.STORE,
) -> None:
    """Copy the steps of an exported file into the store. All are checked before the first becomes visible."""
    from satdsl.engine import bundle

    taken = bundle.read(file, open_store(store))
    typer.echo(f"{_count(taken.new, 'artifact')} imported, {taken.there} stored before")


def _picked(store: Store, start: str) -> Key:
    matching = [key for key in sorted(store.keys()) if key.startswith(start.lower())]
    if not matching:
        fail(
            f"no key in {store.url} begins with `{start}`",
            USAGE,
            "`satdsl store list` shows all keys",
        )
    if len(matching) > 1:
        several = ", ".join(key[:12] for key in matching[:5]) + (", …" if len(matching) > 5 else "")
        fail(f"{len(matching)} keys begin with `{start}`: {several}", USAGE, "give more characters of the key")
    return matching[0]


def _how_computed(found: Computation) -> str:
    threads = "1 thread" if found.threads == 1 else f"{found.threads} threads"
    limit = "" if found.limit is None else f" (OMP_NUM_THREADS is {found.limit})"
    return f"with {threads}{limit} on {found.processor}"


def _show(store: Store, found: Manifest) -> None:
    import json

    maker = found.host if found.process is None else f"process {found.process} on {found.host}"
    continued = ", continued after a stop" if found.continued else ""
    facts = {
        "key": found.key,
        "what": found.label,
        "kind": f"{found.kind} (code version {found.code_version})",
        "finished": found.finished,
        "made by": f"{maker}, device {found.device}, python {found.python}",
        **({} if found.computed is None else {"computed": _how_computed(found.computed)}),
        "took": f"{found.seconds:.1f} s{continued}",
        "with": ", ".join(f"{name} {version}" for name, version in found.packages),
    }
    for name, value in facts.items():
        typer.echo(f"{name:9} {value}")
    _list("inputs", [f"{role:9} {key[:12]}  {_label(store, key)}" for role, key in found.inputs.items()])
    _list("files", [f"{_bytes(file.size):>9}  {file.sha256[:12]}  {file.path}" for file in found.files])
    _list("settings", json.dumps(_without_none(found.settings), indent=1, ensure_ascii=False).splitlines())


def _list(title: str, lines: list[str]) -> None:
    typer.echo(title)
    for line in lines or ["none"]:
        typer.echo(f"  {line}")


def _without_none(settings: Any) -> Any:
    if isinstance(settings, dict):
        return {name: _without_none(value) for name, value in settings.items() if value is not None}
    return settings


def _label(store: Store, key: Key) -> str:
    from satdsl.engine.errors import Damaged

    try:
        return store.manifest(key).label if store.has(key) else "(not stored)"
    except Damaged as damaged:
        return f"damaged: {damaged.fault}"


def _freed(verb: str, artifacts: int, leftovers: int, size: int) -> str:
    return f"{verb} {_bytes(size)}: {_count(artifacts, 'artifact')}, {_count(leftovers, 'leftover')}"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _bytes(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    for unit, scale in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if size < 999.5 * scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e12:.1f} TB"
