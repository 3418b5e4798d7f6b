"""The key, the checker and the reader see the same images of a folder: links followed, by content."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from satdsl import folder_contents, image_folders, user_cache
from satdsl.backend import datasets
from satdsl.catalog import catalog
from satdsl.cli import app
from satdsl.compile import check_file, compile_file
from satdsl.ir.work import StepError
from satdsl.lsp.workspace import Workspace
from satdsl.plan.saved import UnusablePlan, load, save
from tests.realfiles.folder_tree import album, codes, found, message, picture

TRAINED = """sat 1
dataset d = folder("straight", resize=8)
dataset e = folder("swapped", resize=8)
model m = small_cnn(width=4)
recipe r = sgd(epochs=6, batch=8, lr=0.1)
recipe none_at_all = sgd(epochs=0)
train t = m on d using r
train u = m on e using none_at_all { start from t }
evaluate t { right = clean accuracy on val }
evaluate u { swapped = clean accuracy on val }
table "Accuracy" = rows(t.right, u.swapped)
"""

WEIGHTED = """sat 1
dataset d = folder("pictures", resize=8)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
recipe r = sgd(epochs=1, batch=8)
split s of d { A = class cat; B = rest; weight A = |A| / (|A| + |B|) }
train t = m on s using r { attack A with p }
evaluate t { c = clean accuracy on val }
"""

PLAIN = """sat 1
dataset d = folder("pictures", resize=8)
model m = small_cnn(width=4)
recipe r = sgd(epochs=1, batch=8)
train t = m on d using r
evaluate t { c = clean accuracy on val }
"""


def run(folder: Path, *command: str) -> str:
    result = CliRunner().invoke(app, [*command, "--store", str(folder / "store")])
    assert result.exit_code == 0, result.output
    return result.output


def run_spec(folder: Path, text: str) -> dict[str, float]:
    """Run a specification; each result by its name."""
    (folder / "spec.sat").write_text(text)
    run(folder, "run", str(folder / "spec.sat"), "--device", "cpu", "--report", str(folder / "report"))
    document = json.loads(run(folder, "results", str(folder / "spec.sat"), "--format", "json"))
    return {result["result"]: result["value"] for result in document["results"]}


def key(folder: Path) -> str:
    """The identity of a folder in every key."""
    return folder_contents.read(folder).digest


def loaded(folder: Path, **more: Any) -> datasets.DataSet:
    return datasets.load(catalog().call("folder", ("path", "."), ("resize", 8), *more.items()), folder)


def linked(root: Path, real: Path, names: dict[str, str]) -> Path:
    """A folder whose class folders are links into another one."""
    for part in ("train", "val"):
        (root / part).mkdir(parents=True)
        for name, target in names.items():
            (root / part / name).symlink_to(real / part / target)
    return root


# --- links ---------------------------------------------------------------------------------------


def test_class_folders_that_are_links_count_and_swapped_links_are_another_data_set(tmp_path):
    real = album(tmp_path / "real", train=8, val=4)
    straight = linked(tmp_path / "straight", real, {"cat": "cat", "dog": "dog"})
    swapped = linked(tmp_path / "swapped", real, {"cat": "dog", "dog": "cat"})
    assert key(straight) == key(real) != key(swapped)
    assert run_spec(tmp_path, TRAINED) == {"t.right": 1.0, "u.swapped": 0.0}
    facts = check_file(tmp_path / "spec.sat").datasets["d"].at({}).facts
    assert facts is not None
    assert (facts.classes, facts.train_counts, facts.val_counts) == (("cat", "dog"), (8, 8), (4, 4))


def test_a_linked_folder_in_a_class_is_counted_and_trained_on_alike(tmp_path):
    album(tmp_path / "more", ("cat",), train=14)
    pictures = album(tmp_path / "pictures", train=4)
    shutil.rmtree(pictures / "train/cat")
    (pictures / "train/cat").mkdir()
    for i in range(2):
        picture(pictures / "train/cat" / f"own{i}.png", (220, 40, 40))
    (pictures / "train/cat/more").symlink_to("../../../more/train/cat", target_is_directory=True)
    (tmp_path / "spec.sat").write_text(WEIGHTED)
    plan = compile_file(tmp_path / "spec.sat").plan
    (train,) = [step.settings for step in plan.steps.values() if step.kind == "train"]
    assert train.subsets[0].weight == 0.8
    assert loaded(pictures).train.labels.bincount().tolist() == [16, 4]


def test_a_link_to_one_image_counts_as_the_image(tmp_path):
    pictures = album(tmp_path / "pictures")
    before = key(pictures)
    shutil.move(pictures / "train/cat/0.png", tmp_path / "elsewhere.bin")
    (pictures / "train/cat/0.png").symlink_to(tmp_path / "elsewhere.bin")
    assert key(pictures) == before
    assert len(loaded(pictures).train) == 8


@pytest.mark.parametrize(
    ("links", "named"),
    [
        ({"train/cat/up": ".."}, "`train/cat/up` leads back to `train`"),
        ({"train/cat/root": "/"}, "`train/cat/root` leads back to `/`"),
        ({"train/cat/here": "."}, "`train/cat/here` leads back to `train/cat`"),
        ({"train/cat/self": "self"}, "`train/cat/self` leads back to `train/cat/self`"),
        ({"train/bird": "../train"}, "`train/bird` leads back to `train`"),
        ({"train/cat/x": "y", "train/cat/y": "x"}, "2 links in"),
        ({"train/cat/x": "../../more", "more/y": "../train/cat"}, "`train/cat/x/y` leads back to `train/cat`"),
    ],
)
def test_a_circle_of_links_is_an_error_that_names_them(tmp_path, links, named):
    pictures = album(tmp_path / "pictures")
    (pictures / "more").mkdir()
    for name, target in links.items():
        (pictures / name).symlink_to(target)
    assert named in message(pictures, "E307")
    with pytest.raises(StepError, match="in a circle"):
        loaded(pictures)


def test_links_that_meet_again_and_again_end_soon(tmp_path):
    pictures = album(tmp_path / "pictures")
    for level in range(40):
        (tmp_path / "chain" / str(level)).mkdir(parents=True)
        for way in "ab":
            if level:
                (tmp_path / "chain" / str(level) / way).symlink_to(f"../{level - 1}")
    (pictures / "train/cat/chain").symlink_to(tmp_path / "chain/39")
    begun = time.monotonic()
    assert codes(pictures) == ["E309"]
    assert time.monotonic() - begun < 5


def test_links_that_lead_nowhere_are_counted_and_are_no_traceback(tmp_path):
    pictures = album(tmp_path / "pictures")
    for name in ("train/cat/gone.png", "train/dog/album", "val/001.bird"):
        (pictures / name).symlink_to("nowhere")
    (pictures / "train/cat/notes.txt").symlink_to("nowhere")
    said = message(pictures, "E307")
    assert "3 links in" in said
    assert "`train/cat/gone.png`, `train/dog/album`, `val/001.bird`" in said
    result = CliRunner().invoke(app, ["check", str(tmp_path / "spec.sat")])
    assert "Traceback" not in result.output


def test_a_folder_in_two_classes_is_an_error_and_twice_in_one_a_warning(tmp_path):
    pictures = album(tmp_path / "pictures")
    (pictures / "train/cat/dogs").symlink_to("../dog")
    assert "`train/cat/dogs` and `train/dog` are one" in message(pictures, "E307")
    (pictures / "train/cat/dogs").unlink()
    picture(pictures / "train/cat/more/1.png")
    (pictures / "train/cat/again").symlink_to("more")
    assert "`train/cat/more` and `train/cat/again` are one" in message(pictures, "E309")
    assert loaded(pictures).train.labels.bincount().tolist() == [6, 4]


# --- content -------------------------------------------------------------------------------------


def replaced(path: Path, how: str) -> None:
    """Put another image of the same size in bytes into a file's place, under its old times where they can be kept."""
    old = path.stat()
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    if how == "written":
        path.write_bytes(content)
    else:
        path.with_name("new").write_bytes(content)
        path.with_name("new").replace(path)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (old.st_size, old.st_mtime_ns)


@pytest.mark.parametrize("how", ["written", "replaced"])
@pytest.mark.parametrize("cached", [True, False])
def test_a_file_of_the_same_size_and_time_is_noticed(tmp_path, monkeypatch, how, cached):
    monkeypatch.setattr(folder_contents, "MARGIN_NS", 0 if cached else folder_contents.MARGIN_NS)
    pictures = album(tmp_path / "pictures")
    (pictures / "train/cat/0.bmp").write_bytes((pictures / "train/cat/0.png").read_bytes())
    time.sleep(0.02)  # a tick of the file system's clock
    before = key(pictures)
    time.sleep(0.02)
    replaced(pictures / "train/cat/0.bmp", how)
    assert key(pictures) != before


def test_a_replaced_image_is_run_again(tmp_path):
    image = album(tmp_path / "pictures", train=2) / "train/cat/0.bmp"
    picture(image)
    run_spec(tmp_path, PLAIN)
    assert "to run: 0 of 3 steps" in run(tmp_path, "explain", str(tmp_path / "spec.sat"))
    before = image.stat().st_size
    picture(image, (0, 0, 0), seed=1)
    assert image.stat().st_size == before
    assert "to run: 3 of 3 steps" in run(tmp_path, "explain", str(tmp_path / "spec.sat"))


def test_a_folder_that_was_moved_or_copied_keeps_its_key(tmp_path):
    pictures = album(tmp_path / "pictures")
    before = key(pictures)
    shutil.copytree(pictures, tmp_path / "copy")
    assert key(tmp_path / "copy") == before
    (tmp_path / "copy/train/cat/0.png").rename(tmp_path / "copy/train/cat/00.png")
    assert key(tmp_path / "copy") != before
    pictures.rename(tmp_path / "moved")
    assert key(tmp_path / "moved") == before


def test_what_is_read_has_to_be_what_was_planned(tmp_path):
    pictures = album(tmp_path / "pictures")
    planned = key(pictures)
    picture(pictures / "train/cat/0.png", seed=5)
    picture(pictures / "train/cat/new.png", seed=6)
    (pictures / "val/dog/1.png").unlink()
    with pytest.raises(StepError) as error:
        loaded(pictures, listing=planned)
    assert "1 file with another content (`train/cat/0.png`)" in error.value.reason
    assert "1 file gone (`val/dog/1.png`)" in error.value.reason
    assert "1 file new (`train/cat/new.png`)" in error.value.reason
    assert "plan anew" in error.value.help
    shutil.rmtree(user_cache.place("folders"))
    with pytest.raises(StepError, match=r"does not hold the images that were planned; plan anew"):
        loaded(pictures, listing=planned)


def test_an_image_that_changes_after_it_was_listed_is_refused(tmp_path):
    pictures = album(tmp_path / "pictures")
    data = loaded(pictures, listing=key(pictures))
    picture(pictures / "train/dog/2.png", seed=7)
    with pytest.raises(StepError, match=r"2\.png has changed"):
        data.train.pixels[:]


def test_a_saved_plan_says_which_images_have_changed(tmp_path):
    pictures = album(tmp_path / "pictures")
    (tmp_path / "spec.sat").write_text(WEIGHTED)
    save(compile_file(tmp_path / "spec.sat").plan, tmp_path / "plan.yaml")
    load(tmp_path / "plan.yaml")
    picture(pictures / "val/cat/1.png", seed=8)
    with pytest.raises(UnusablePlan, match=r"1 file with another content \(`val/cat/1.png`\)"):
        load(tmp_path / "plan.yaml")


# --- the cache -----------------------------------------------------------------------------------


@pytest.fixture
def cached(tmp_path, monkeypatch) -> Path:
    """A folder whose images are in the cache."""
    monkeypatch.setattr(folder_contents, "MARGIN_NS", -(10**9))
    pictures = album(tmp_path / "pictures")
    folder_contents.read(pictures)
    return pictures


def test_a_file_is_read_again_only_where_it_changed(cached, read_files):
    folder_contents.read(cached)
    assert read_files == []
    picture(cached / "train/cat/3.png", seed=9)
    folder_contents.read(cached)
    assert read_files == ["3.png"]
    cached.rename(cached.with_name("moved"))
    folder_contents.read(cached.with_name("moved"))
    assert read_files == ["3.png"]


def test_a_file_that_has_only_just_changed_is_not_kept(tmp_path, read_files):
    pictures = album(tmp_path / "pictures")
    for _ in range(2):
        folder_contents.read(pictures)
    assert len(read_files) == 2 * 12


@pytest.mark.parametrize("harm", ["cut", "flipped", "emptied", "foreign", "folder"])
def test_a_damaged_cache_is_made_anew(cached, harm):
    before = folder_contents.read(cached)
    (file,) = user_cache.place("folders").glob("*.files")
    content = file.read_bytes()
    if harm == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(
            {"cut": content[:-7], "emptied": b"", "foreign": b"x" * 99}.get(harm, content[:-9] + b"?" + content[-8:])
        )
    after = folder_contents.read(cached)
    assert (after.digest, after.known) == (before.digest, before.known)


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_contents, "MARGIN_NS", -(10**9))
    monkeypatch.setattr(folder_contents, "PATIENCE", -1.0)
    told: list[str] = []
    monkeypatch.setattr(folder_contents, "tell", told.append)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(user_cache.VARIABLE, str(tmp_path / "file"))
    assert len(folder_contents.read(album(tmp_path / "pictures")).known) == 12
    assert "cannot be written" in told[-1]


def test_the_cache_has_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_contents, "MARGIN_NS", -(10**9))
    monkeypatch.setattr(user_cache, "MOST_FILES", 4)
    for i in range(5):
        folder_contents.read(album(tmp_path / f"pictures{i}", train=1, val=1))
    assert len(list(user_cache.place("folders").iterdir())) <= 4
    assert not list(user_cache.place("folders").glob("*.aside"))


def test_several_processes_may_read_one_folder(cached):
    shutil.rmtree(user_cache.place("folders"))
    digests: list[str] = []
    threads = [threading.Thread(target=lambda: digests.append(key(cached))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(digests)) == 1
    assert len(digests) == 4


def test_an_interrupted_reading_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_contents, "MARGIN_NS", -(10**9))
    monkeypatch.setattr(folder_contents, "AT_ONCE", 2)
    pictures = album(tmp_path / "pictures")
    real, done = folder_contents._read, []

    def interrupted(place: str) -> Any:
        done.append(place)
        if len(done) > 6:
            raise KeyboardInterrupt
        return real(place)

    monkeypatch.setattr(folder_contents, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folder_contents.read(pictures)
    assert 4 <= len(folder_contents.read_nothing(pictures).known) <= 6


def test_who_waits_is_told_on_standard_error_only(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_contents, "PATIENCE", -1.0)
    monkeypatch.setattr(folder_contents, "AT_ONCE", 5)
    album(tmp_path / "pictures")
    (tmp_path / "spec.sat").write_text('sat 1\ndataset d = folder("pictures", resize=8)\n')
    result = CliRunner().invoke(app, ["check", str(tmp_path / "spec.sat"), "--format", "json"])
    assert json.loads(result.stdout)["findings"] == []
    assert "reading 12 images" in result.stderr


def test_the_editor_opens_no_image(tmp_path, monkeypatch, read_files):
    pictures = album(tmp_path / "pictures")
    (pictures / "train/cat/up").symlink_to("..")
    workspace = Workspace()
    text = 'sat 1\ndataset d = folder("pictures", resize=8)\n'
    analysis = workspace.snapshot(workspace.open((tmp_path / "spec.sat").as_uri(), text)).analysis
    assert [finding.code for finding in analysis.findings] == ["E307"]
    assert read_files == []


# --- names ---------------------------------------------------------------------------------------


def test_file_names_that_are_not_utf8_are_read_and_reported(tmp_path):
    pictures = album(tmp_path / "pictures", train=2)
    odd = os.fsencode(pictures / "train/cat") + b"/caf\xe9.png"
    shutil.copy(pictures / "train/cat/0.png", odd)
    with open(odd, "ab") as file:
        file.write(b"more")
    assert set(run_spec(tmp_path, PLAIN)) == {"t.c"}
    data = loaded(pictures, listing=key(pictures))
    assert len(data.train) == 5
    with open(odd, "wb") as file:
        file.write(b"no image")
    with pytest.raises(StepError, match=r"caf\\xe9\.png has changed"):
        data.train.pixels[:]


def test_class_names_that_are_no_text_are_an_error(tmp_path):
    pictures = album(tmp_path / "pictures")
    for part in (b"train", b"val"):
        os.rename(os.fsencode(pictures) + b"/" + part + b"/cat", os.fsencode(pictures) + b"/" + part + b"/caf\xe9\n")
    assert r"`train/caf\xe9\n`, `val/caf\xe9\n`" in message(pictures, "E308")
    with pytest.raises(StepError, match="a name that is no text"):
        loaded(pictures)


def test_class_names_are_compared_in_the_composed_form(tmp_path):
    pictures = album(tmp_path / "pictures")
    (pictures / "train/cat").rename(pictures / "train/cafe\u0301")
    (pictures / "val/cat").rename(pictures / "val/caf\u00e9")
    assert codes(pictures) == []
    assert loaded(pictures).classes == ("caf\u00e9", "dog")
    before = key(pictures)
    (pictures / "train/cafe\u0301").rename(pictures / "train/caf\u00e9")
    assert key(pictures) == before
    picture(pictures / "train/cafe\u0301/1.png")
    assert message(pictures, "E201") == "two classes are called `caf\u00e9`"


def test_endings_are_read_in_capital_letters_too_and_folders_may_end_like_images(tmp_path):
    pictures = album(tmp_path / "pictures")
    (pictures / "train/cat/0.png").rename(pictures / "train/cat/0.PNG")
    picture(pictures / "train/cat/train.jpg/x.png")
    assert codes(pictures) == []
    assert len(loaded(pictures).train) == 9


# --- an invariant --------------------------------------------------------------------------------

NAMES = ("cat", "dog", "b", "b-1", "B.png")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_checker_the_reader_and_the_listing_count_the_same(tmp_path_factory, data):
    """In random trees, with links of every kind between them, or all of them refuse the folder."""
    root = tmp_path_factory.mktemp("random")
    album(root / "f", train=1, val=1)
    places = ["train/cat", "train/dog", "val/cat", "val/dog", "store"]
    (root / "f/store").mkdir()
    for number in range(data.draw(st.integers(0, 12))):
        place = data.draw(st.sampled_from(places))
        name = data.draw(st.sampled_from(NAMES)) + data.draw(st.sampled_from(("", str(number))))
        new = root / "f" / place / name
        if os.path.lexists(new):
            continue
        kind = data.draw(st.sampled_from(("image", "folder", "folder", "link", "link to file", "text")))
        if kind == "image":
            picture(new.with_name(f"{name}.png"), seed=number)
        elif kind == "folder":
            new.mkdir()
            places.append(f"{place}/{name}")
        elif kind == "text":
            new.with_name(f"{name}.txt").write_text("text")
        else:
            target = root / "f" / data.draw(st.sampled_from(places))
            target = target / "0.png" if kind == "link to file" else target
            new.symlink_to(os.path.relpath(target, new.parent))
    errors = [finding for finding in found(root / "f") if finding.severity == "error"]
    if errors:
        with pytest.raises(StepError):
            loaded(root / "f")
        return
    facts = check_file_facts(root)
    read = loaded(root / "f", listing=key(root / "f"))
    listed = image_folders.listing(root / "f")
    for part, counts in (("train", facts.train_counts), ("val", facts.val_counts)):
        labels = getattr(read, part).labels.bincount(minlength=2).tolist()
        found_there = listed.parts[part]
        assert found_there is not None
        assert labels == list(counts or ()) == [len(klass.images) for klass in found_there.classes]
        assert len(getattr(read, part).pixels[:]) == sum(labels)


def check_file_facts(root: Path) -> Any:
    (root / "spec.sat").write_text('sat 1\ndataset d = folder("f", resize=8)\n')
    facts = check_file(root / "spec.sat").datasets["d"].at({}).facts
    assert facts is not None
    return facts
