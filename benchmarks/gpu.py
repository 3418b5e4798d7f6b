"""A GPU, in under nine minutes: is what it computes right, how fast is it, and how far does CIFAR-10 come?

    python benchmarks/gpu.py

It writes its page as it goes, so that a kill loses what was being measured and no more; each part has its share of
`--seconds`, and what finds no time is named. It needs torch, NumPy, safetensors, PyArrow, PyYAML, rich and tqdm, and no
installation of satdsl: it finds the package beside itself. What else is missing (pyautoattack, torchattacks) is left
out, and a line says so. `--device cpu --tiny` tries all of it in seconds where there is no GPU.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from gpu_parts.whole import main

    sys.exit(main())
