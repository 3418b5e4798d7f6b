"""Artifacts as one file: deterministic to write, and nothing visible unless every byte is what it should be."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from satdsl.engine import bundle
from satdsl.engine.local_store import LocalStore
from satdsl.errors import UserError
from tests.engine.fake_steps import Made, Performer, make, run, same_artifacts
from tests.engine.store_locations import Home

INDEX = "satdsl-artifacts.json"
Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def made() -> Made:
    return make(draws=2)


@pytest.fixture
def written(made: Made, tmp_path: Path) -> Path:
    store = LocalStore(tmp_path / "source")
    run(made.plan, store, Performer())
    bundle.write(store, made.plan.steps, tmp_path / "results.tar")
    return tmp_path / "results.tar"


def test_what_is_exported_arrives_wherever_it_is_imported(home: Home, made: Made, written: Path) -> None:
    assert bundle.read(written, home.store()) == bundle.Imported(new=5, there=0)
    performer = Performer()
    assert run(made.plan, home.store("two"), performer).stored == 5
    assert performer.performed == []
    assert same_artifacts(home.store("two"), LocalStore(written.with_name("source")), made.plan.steps)
    assert home.store().leftovers() == ()
    assert bundle.read(written, home.store()) == bundle.Imported(new=0, there=5)


def test_equal_artifacts_make_equal_bytes(made: Made, written: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "source", tmp_path / "copy")
    bundle.write(LocalStore(tmp_path / "copy"), reversed(list(made.plan.steps)), tmp_path / "again.tar")  # type: ignore[arg-type]
    assert (tmp_path / "again.tar").read_bytes() == written.read_bytes()


def test_an_artifact_that_is_damaged_is_not_exported(made: Made, written: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "source")
    (store.folder(made.data.key) / "labels.npz").write_bytes(b"other")
    with pytest.raises(UserError, match=f"artifact {made.data.key[:12]}: labels.npz has 5 bytes"):
        bundle.write(LocalStore(tmp_path / "source"), made.plan.steps, tmp_path / "again.tar")
    assert not (tmp_path / "again.tar").exists()


def test_an_import_that_meets_a_damaged_artifact_replaces_it(made: Made, written: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "source")
    (store.folder(made.data.key) / "labels.npz").unlink()
    assert bundle.read(written, LocalStore(tmp_path / "source")) == bundle.Imported(new=1, there=4)
    assert LocalStore(tmp_path / "source").verify(made.data.key) is None


# --- what is refused -----------------------------------------------------------------------------


def members(file: Path) -> Members:
    with tarfile.open(file) as archive:
        return [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def rewrite(file: Path, change: Callable[[Members], object]) -> None:
    found = members(file)
    change(found)
    with tarfile.open(file, "w") as archive:
        for member, content in found:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def named(found: Members, end: str) -> int:
    return next(i for i, (member, _) in enumerate(found) if member.name.endswith(end))


def changed(end: str, content: bytes) -> Callable[[Members], object]:
    def change(found: Members) -> None:
        i = named(found, end)
        found[i] = found[i][0], content

    return change


def added(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Callable[[Members], object]:
    def change(found: Members) -> None:
        key = found[named(found, "/facts.json")][0].name.split("/")[1]
        member = tarfile.TarInfo(name.replace("KEY", key))
        member.type, member.linkname = kind, link
        found.append((member, b""))

    return change


def with_flipped_bit(found: Members) -> None:
    i = named(found, "labels.npz")
    content = bytearray(found[i][1])
    content[100] ^= 1
    found[i] = found[i][0], bytes(content)


def with_other_index(**fields: object) -> Callable[[Members], object]:
    return lambda found: changed(INDEX, json.dumps(json.loads(found[0][1]) | fields).encode())(found)


def without(end: str) -> Callable[[Members], object]:
    return lambda found: found.pop(named(found, end))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_flipped_bit, r"labels\.npz has changed"),
        (changed("labels.npz", b"short"), r"labels\.npz has 5 bytes"),
        (without("labels.npz"), r"labels\.npz is missing"),
        (without("manifest.json"), r"manifest\.json is missing"),
        (changed("manifest.json", b"{}"), r"manifest\.json cannot be read"),
        (added("artifacts/KEY/../../../outside"), "holds what is no artifact's"),
        (added("../outside"), "holds what is no artifact's"),
        (added("/tmp/outside"), "holds what is no artifact's"),
        (added("artifacts/" + "0" * 64 + "/manifest.json"), "holds what is no artifact's"),
        (added("artifacts/KEY/more.bin"), r"more\.bin is not in its manifest"),
        (added("artifacts/KEY/facts.json"), "twice"),
        (added("artifacts/KEY/link", tarfile.SYMTYPE, "/etc/passwd"), "is not a plain file"),
        (added("artifacts/KEY/link", tarfile.LNKTYPE, "manifest.json"), "is not a plain file"),
        (added("artifacts/KEY/pipe", tarfile.FIFOTYPE), "is not a plain file"),
        (added("artifacts/KEY/folder", tarfile.DIRTYPE), "is not a plain file"),
        (without(INDEX), "does not come first"),
        (changed(INDEX, b"[]"), "cannot be read"),
        (with_other_index(format=bundle.FORMAT + 1), "newer satdsl"),
        (with_other_index(artifacts={"../../outside": "0"}), "names what is no key"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused_as_a_whole(
    written: Path, tmp_path: Path, change: Callable[[Members], object], reason: str
) -> None:
    rewrite(written, change)
    store = LocalStore(tmp_path / "target")
    with pytest.raises(UserError, match=reason):
        bundle.read(written, store)
    assert LocalStore(tmp_path / "target").keys() == frozenset()
    assert store.leftovers() == ()
    assert not list(tmp_path.rglob("outside"))


def test_a_manifest_changed_together_with_its_key_is_refused(written: Path, tmp_path: Path) -> None:
    """Its settings still give its key; that its label changed, the index's digest tells."""

    def change(found: Members) -> None:
        i = named(found, "manifest.json")
        found[i] = found[i][0], json.dumps(json.loads(found[i][1]) | {"label": "another"}).encode()

    rewrite(written, change)
    with pytest.raises(UserError, match=r"manifest\.json has changed"):
        bundle.read(written, LocalStore(tmp_path / "target"))


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100, b"\x1f\x8b\x08\x00"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match="no file of `satdsl store export`"):
        bundle.read(tmp_path / "file", LocalStore(tmp_path / "target"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_a_file_that_was_cut_is_refused_as_a_whole(written: Path, tmp_path: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError):
        bundle.read(written, LocalStore(tmp_path / "target"))
    assert LocalStore(tmp_path / "target").keys() == frozenset()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.tar cannot be read \(No such file"):
        bundle.read(tmp_path / "absent.tar", LocalStore(tmp_path / "target"))


def test_the_digests_in_the_file_are_those_of_its_manifests(written: Path) -> None:
    found = members(written)
    digests = json.loads(found[0][1])["artifacts"]
    of_members = {
        m.name.split("/")[1]: hashlib.sha256(c).hexdigest() for m, c in found if m.name.endswith("manifest.json")
    }
    assert digests == of_members
    assert list(digests) == sorted(digests)
