"""satdsl: a declarative language for adversarial-robustness experiments."""

__version__ = "0.1.0"
