"""Tell what a file is by its first bytes, and say what to do about one that holds no weights."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

from satdsl.weight_files.problem import WeightsProblem

CODE = "E520"
WEIGHTS = re.compile(r"\.(pth|pt|ckpt|safetensors|bin|tar|pkl|best|latest)$", re.IGNORECASE)

DOWNLOAD = "download it again, and look at the file's size"
LFS = "run `git lfs pull` in its repository, or download the file itself"

FOREIGN = (
    (b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras writes it"),
    (b"\x89PNG", "is an image (PNG)"),
    (b"\xff\xd8\xff", "is an image (JPEG)"),
    (b"GGUF", "is a GGUF file, as llama.cpp reads it"),
    (b"\x93NUMPY", "is one NumPy array (.npy)"),
    (b"%PDF", "is a PDF"),
    (b"\x7fELF", "is a program"),
)
"""First bytes of other files."""

PACKED = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"7z\xbc\xaf", "7-Zip"), (b"Rar!", "RAR"))
"""First bytes of packed files, and what packed them."""

SAVE = "load it in its own framework, and save its weights with torch.save, under the names of a PyTorch network"


def refuse_other_files(path: Path) -> None:
    """Raise WeightsProblem for a file that is certainly no file of weights; say what it is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4096)
        tar = start[257:262] == b"ustar"
    if not start:
        raise WeightsProblem(CODE, "is empty", "it has no bytes", DOWNLOAD)
    if not start.strip(b"\0"):
        raise WeightsProblem(CODE, "begins with zeros alone", "a download or a copy was broken off", DOWNLOAD)
    if start.startswith(b"version https://git-lfs"):
        oid = re.search(rb"size (\d+)", start)
        of = f", of a file of {int(oid[1]):,} bytes" if oid else ""
        raise WeightsProblem(CODE, f"is a pointer of Git LFS{of}", "the weights themselves were not fetched", LFS)
    for begin, what in FOREIGN:
        if start.startswith(begin):
            raise WeightsProblem(CODE, what, "it holds no weights of a PyTorch network", SAVE)
    for begin, how in PACKED:
        if start.startswith(begin):
            raise WeightsProblem(CODE, f"is packed with {how}", "", "unpack it, and name the file that comes out of it")
    if tar:
        _refuse_tar(path)
    if _is_text(start):
        _refuse_text(start, size)
    if (start[:1] == b"\x08" and b"pytorch" in start[:64]) or b"onnx" in start[:64].lower():
        raise WeightsProblem(CODE, "is an ONNX graph", "it holds no state dict", SAVE)
    if b"saved_model" in start or start[:2] == b"\x0a\x8b":
        raise WeightsProblem(CODE, "looks like a file of TensorFlow", "it holds no state dict", SAVE)


def refuse_other_archive(archive: zipfile.ZipFile) -> None:
    """Raise WeightsProblem for a zip archive that torch did not write."""
    names = [name for name in archive.namelist() if not name.endswith("/")]
    inside = [name for name in names if WEIGHTS.search(name) and not name.startswith("__MACOSX")]
    if any(name.endswith(".npy") for name in names):
        raise WeightsProblem(CODE, "is an archive of NumPy arrays (.npz)", "it holds no state dict", SAVE)
    if any(name.endswith((".h5", "keras_metadata.pb", "saved_model.pb")) for name in names):
        raise WeightsProblem(CODE, "is a model of Keras or TensorFlow", "it holds no state dict", SAVE)
    if inside:
        what = ", ".join(f"`{name}`" for name in inside[:3])
        raise WeightsProblem(CODE, f"is a zip archive with {what} in it", "", "unpack it, and name the file inside")
    if any(name.endswith("model.json") for name in names):
        raise WeightsProblem(CODE, "is a TorchScript archive of an early version", "", SAVE)
    raise WeightsProblem(CODE, "is a zip archive without weights", f"in it are {', '.join(names[:3])}", DOWNLOAD)


def _refuse_tar(path: Path) -> None:
    import tarfile

    try:
        with tarfile.open(path) as archive:
            names = archive.getnames()
    except (tarfile.TarError, OSError, EOFError):
        raise WeightsProblem(CODE, "is a damaged tar archive", "it ends too early", DOWNLOAD) from None
    if {"pickle", "tensors", "storages"} & {name.rpartition("/")[2] for name in names}:
        help = "load and save it with PyTorch 1.0 or later"
        raise WeightsProblem(CODE, "was saved by a version of PyTorch before 0.2", "its layout is not read", help)
    what = ", ".join(f"`{name}`" for name in names[:3])
    raise WeightsProblem(CODE, f"is a tar archive with {what} in it", "", "unpack it, and name the file inside")


def _is_text(start: bytes) -> bool:
    """Whether a file begins as a text: no control characters but white space."""
    head = start[:512]
    return not any(byte < 9 or 13 < byte < 32 for byte in head) and start[:1] != b"\x80"


def _refuse_text(start: bytes, size: int) -> None:
    text = start.decode("utf-8", "replace").lstrip("\ufeff").lstrip()
    low = text.lower()
    if low.startswith(("<!doctype", "<html", "<?xml", "<head", "<!--")) or "<html" in low[:1000]:
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        named = f", titled `{' '.join(title[1].split())[:80]}`" if title else ""
        reason = "the server answered with a page, which the download has kept"
        if "google" in low:
            reason = "Google Drive asks for a confirmation before it gives large files"
        raise WeightsProblem(
            CODE, f"is a page of a website{named}", reason, "download the file itself (raw), in a browser"
        )
    if text.startswith(("{", "[")) and (size > len(start) or _is_json(text)):
        raise WeightsProblem(
            CODE, "is JSON, such as the answer of a server", f"it begins with {text[:60].strip()!r}", DOWNLOAD
        )
    first = text.splitlines()[0][:60] if text else ""
    raise WeightsProblem(CODE, "is a text", f"it begins with {first!r}", "name the file that the weights are in")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
