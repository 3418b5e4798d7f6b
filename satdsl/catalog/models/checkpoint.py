"""An architecture with weights made elsewhere, read from a file; a recipe with epochs=0 leaves them as they are."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry

ENTRY = ModelEntry(
    "checkpoint",
    __doc__,
    arguments=(
        Argument("file", "text").meaning(
            "The weights' file (.safetensors, or a state dict as torch saves it in .pt, .pth, .ckpt or .tar)."
        ),
        Argument("arch", "call", family="model").meaning("The architecture that the weights belong to."),
        Argument("mean", "number", default=None, many=True, optional=True).meaning(
            "What is taken from each channel of images in [0, 1]; none takes the data set's means."
        ),
        Argument("std", "number", default=None, many=True, above=0, optional=True).meaning(
            "What each channel is then divided by; none takes the data set's standard deviations."
        ),
        Argument("entry", "text", default=None, optional=True).meaning(
            "Where in the file the weights are, if it has those of several networks: `ema` beside `model`."
        ),
        Argument(
            "expect",
            "settings",
            default=None,
            optional=True,
            entries=(
                Argument("images", "text").meaning(
                    "Images of shape [n, c, h, w] or [n, h, w, c]: uint8, or in [0, 1]."
                ),
                Argument("logits", "text").meaning(
                    "The logits that the authors' own code gives for them, [n, classes]."
                ),
            ),
        ).meaning("A proof, two .npy files: the network has to give these logits for these images."),
        Argument("clean", "share", default=None, within=0.005, optional=True).meaning(
            "A proof: the clean accuracy on the validation images that the weights are known to have (± 0.5%)."
        ),
    ),
    place=11,
    from_file=True,
)
