"""Arguments that several architectures have: what their published versions differ in beside depth and width.

None of them changes the name or the shape of a weight. So weights that were trained in one form can be loaded in
another, and then measure a network that nobody trained.
"""

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import Untold
from satdsl.catalog.registry import CallSite
from satdsl.ir.steps import CatalogCall

ACTIVATION = (
    Argument(
        "activation",
        "word",
        default="relu",
        choices=("relu", "leaky_relu", "silu", "gelu", "gelu_tanh", "softplus", "elu", "selu", "mish", "tanh"),
    ).meaning(
        "The nonlinearity. silu is also called swish, and gelu_tanh is the approximation that is the default of JAX."
    ),
    Argument("slope", "number", default=0.01, at_least=0).meaning(
        "Slope of leaky_relu below 0; PyTorch's default is 0.01, TensorFlow's wide ResNets have 0.1."
    ),
    Argument("beta", "number", default=1.0, above=0).meaning(
        "Of softplus, log(1 + exp(beta x)) / beta; the larger, the nearer to relu."
    ),
)

STEM_STRIDE = Argument("stem_stride", "int", default=1, at_least=1).meaning(
    "Stride of the first convolution; some networks for 64-pixel images have 2."
)

PADDING = Argument("padding", "word", default="symmetric", choices=("symmetric", "same")).meaning(
    "Zeros around images where a layer has a stride: symmetric as in PyTorch, or same as in TensorFlow and JAX, whose "
    "odd zero comes at the end."
)

BN_EPS = Argument("bn_eps", "number", default=1e-5, above=0).meaning(
    "Added to the variance in batch norms; PyTorch's default is 1e-5, TensorFlow's 1e-3."
)

UNTOLD_ACTIVATION = (
    Untold("activation", "silu", "many networks trained on generated images"),
    Untold("slope", "0.1", "wide ResNets after TensorFlow's", where=lambda call: call["activation"] == "leaky_relu"),
    Untold("beta", "10", "smooth adversarial training", where=lambda call: call["activation"] == "softplus"),
)

UNTOLD_RARELY = (
    Untold("bn_eps", "1e-3", "networks that come from TensorFlow", rare=True),
    Untold("padding", "same", "networks that come from TensorFlow or JAX", rare=True),
    Untold("stem_stride", "2", "code for 64-pixel images", rare=True),
)


def activation_has_its_number(model: CatalogCall, site: CallSite) -> None:
    """Refuse the number of an activation that is not the model's."""
    for name, of in (("slope", "leaky_relu"), ("beta", "softplus")):
        if model[name] != model.defaults[name] and model["activation"] != of:
            site.error(
                "E517",
                f"`{name}` belongs to `{of}`, but the activation is `{model['activation']}`",
                "it would change nothing",
                f"write `activation={of}`, or leave `{name}` out",
            )
