"""Export a trained network to files that work without satdsl.

`torch` is a `torch.export` program, `safetensors` the weights with Python code that builds the network, `onnx` an ONNX
model. All of them take images in [0, 1] in batches of any size: the normalisation is inside.
"""

from __future__ import annotations

import ast
import inspect
import json
import pprint
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from satdsl import plugin
from satdsl.backend import architectures, weights
from satdsl.backend.models import LIBRARIES, shown
from satdsl.backend.plugins import modules
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.weights import Description
from satdsl.ir.plugin_packages import packages_of
from satdsl.ir.steps import CatalogCall, PluginCode, document
from satdsl.ir.work import StepError

CODE, STUB = "python", "without_satdsl.py"
"""The folder of a plug-in's files in an export; and in it, a copy of `satdsl.plugin` for where satdsl is not."""

FOOTER = '''

# --- this network ------------------------------------------------------------------------------------

DESCRIPTION: dict[str, Any] = {description}

CLASSES = {classes}
"""What each logit stands for."""


def load(weights: str | None = None) -> Network:
    """The trained network, in evaluation mode; its weights lie beside this file unless another place is given."""
    from pathlib import Path

    from safetensors.torch import load_file

    network = untrained(**DESCRIPTION{body})
    network.load_state_dict(load_file(weights or Path(__file__).with_name("model.safetensors")))
    return network.eval()
'''

BODY = '''

def body(shape: Shape, classes: int) -> nn.Module:
    """Build the body by the code that lies in the folder `{folder}` beside this file."""
    import importlib
    import importlib.util
    import sys
    from pathlib import Path
    from types import ModuleType

    folder = Path(__file__).with_name("{folder}")
    own = {own}
    path, others = sys.path[:], {{name: module for name, module in sys.modules.items() if name.split(".")[0] in own}}
    stand_ins: dict[str, ModuleType] = {{}}
    try:
        importlib.import_module("satdsl.plugin")
    except ImportError:
        marks = importlib.util.spec_from_file_location("satdsl.plugin", folder / "{stub}")
        assert marks is not None and marks.loader is not None
        stand_ins = {{"satdsl": ModuleType("satdsl"), "satdsl.plugin": importlib.util.module_from_spec(marks)}}
        setattr(stand_ins["satdsl"], "plugin", stand_ins["satdsl.plugin"])
        sys.modules.update(stand_ins)
        marks.loader.exec_module(stand_ins["satdsl.plugin"])
    for name in others:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        function = getattr(importlib.import_module("{module}"), "{function}")
        offered = dict(zip(("classes", "channels", "height", "width"), (classes, *shape)))
        built: nn.Module = function(*[offered[name] for name in {positional}], **{arguments})
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if name.split(".")[0] in own or name in stand_ins]:
            del sys.modules[name]
        sys.modules.update(others)
    return built
'''


def write(artifact: Path, form: str, out: Path, epoch: int | None = None) -> dict[str, Any]:
    """Write the network in the folder `artifact` into the folder `out`; return the facts for its model card.

    `epoch` is the one after which its weights were kept, None for those that its training chose.

    These are the contents of `model.json`, the number of `parameters`, and the `packages` that the files need.

    Raises:
        StepError: A package is missing, or torch cannot trace the network.
    """
    description = weights.describe(artifact)
    network = weights.load(artifact, epochs=epoch).to(memory_format=torch.contiguous_format)
    FORMS[form](network, description, out)
    settings = {name: document(value) for name, value in vars(description).items()}
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return settings | {"parameters": parameters, "packages": list(requirements(description, form))}


def requirements(description: Description, form: str) -> tuple[str, ...]:
    """Return the packages that the files of an export need."""
    if form == "onnx":
        return ("onnxruntime",)
    if form == "torch":
        return ("torch",)
    if description.model.plugin is not None:
        return ("torch", "safetensors", *packages_of(description.model.plugin))
    library = "torchvision" if description.model.name.startswith("resnet") else description.model.name
    return ("torch", "safetensors", *([library] if library in LIBRARIES else []))


def _torch(network: nn.Module, description: Description, out: Path) -> None:
    """Write `model.pt2`."""
    images, batch = _example(description), torch.export.Dim("batch")
    program = _followed(
        description,
        "torch.export",
        lambda: torch.export.export(network, (images,), dynamic_shapes={"x": {0: batch}}),
    )
    torch.export.save(program, out / "model.pt2")


def _safetensors(network: nn.Module, description: Description, out: Path) -> None:
    """Write `model.safetensors`, with what each logit stands for in its metadata, and `model.py`."""
    named = {"classes": json.dumps(description.classes)}
    (out / "model.safetensors").write_bytes(save(network.state_dict(), named))
    (out / "model.py").write_text(source(description), "utf-8")
    if description.model.plugin is not None:
        _write_code(description.model.plugin, out / CODE)


def _write_code(code: PluginCode, folder: Path) -> None:
    """Write the files of a plug-in, and what its marks are made of where satdsl is not installed."""
    for name, text in code.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / STUB).write_text(inspect.getsource(plugin), "utf-8")


def source(description: Description) -> str:
    """Return Python code with a function `load`, which builds the network with torch and its library."""
    text = inspect.getsource(architectures)
    docstring = ast.parse(text).body[0]
    settings = {name: document(value) for name, value in vars(description).items()}
    settings["classes"] = len(description.classes)
    code = description.model.plugin
    return (
        '"""A network written by satdsl: `load()` builds it and reads its weights. Images in [0, 1] to logits."""\n'
        + "\n".join(text.split("\n")[docstring.end_lineno :]).rstrip("\n")
        + "\n"
        + ("" if code is None else _body(description.model, code))
        + FOOTER.format(
            body="" if code is None else ", body=body",
            description=pprint.pformat(settings, width=100, sort_dicts=False),
            classes=pprint.pformat(description.classes, width=100, compact=True),
        )
    )


def _body(model: CatalogCall, code: PluginCode) -> str:
    """Return the function that builds the body of a plug-in's network from the code that travels along."""
    made = Plugin.of(model)
    return BODY.format(
        folder=CODE,
        stub=STUB,
        own=sorted({name.partition("/")[0].removesuffix(".py") for name, _ in code.files}),
        module=modules.dotted(code.files[0][0]),
        function=code.function,
        positional=made.positional,
        arguments=pprint.pformat(made.arguments, width=100, sort_dicts=False),
    )


def _onnx(network: nn.Module, description: Description, out: Path) -> None:
    """Write `model.onnx`."""
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        raise StepError("onnx and onnxscript are not installed", "pip install satdsl[onnx]")
    images = _example(description)
    program = _followed(
        description,
        "torch.onnx.export",
        lambda: torch.onnx.export(
            network,
            (images,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
            dynamo=True,
            verbose=False,
        ),
    )
    program.save(out / "model.onnx")


FORMS: Mapping[str, Callable[[nn.Module, Description, Path], None]] = {
    "torch": _torch,
    "safetensors": _safetensors,
    "onnx": _onnx,
}


def _example(description: Description) -> Tensor:
    """Return two images; from one, an export would conclude that a batch always has one image."""
    return torch.zeros(2, *description.shape)


def _followed(description: Description, tool: str, export: Callable[[], Any]) -> Any:
    """Return what an export gives; raise StepError if its tracing fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return export()
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise StepError(
            f"{tool} cannot follow {shown(description.model)}: {reason}", "export it with --format safetensors"
        ) from error
