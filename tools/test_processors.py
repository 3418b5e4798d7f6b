"""Run tests as if on several kinds of processor: with fewer and fewer of the instructions that this one has.

    python tools/test_processors.py [arguments of pytest, such as tests/backend]

Libraries add and multiply in another order where a processor has other vector instructions, so numbers differ in their
last digits. A test that passes on one kind alone rests on them. `ATEN_CPU_CAPABILITY` is read by torch,
`ONEDNN_MAX_CPU_ISA` by oneDNN (convolutions) and `MKL_ENABLE_INSTRUCTIONS` by MKL (matrix products).
"""

from __future__ import annotations

import os
import subprocess
import sys

LEVELS = ("DEFAULT", "AVX2", "AVX512")
"""What torch calls the vector instructions that it finds, ascending; DEFAULT is SSE4.1."""

KINDS = {
    "this processor": ("DEFAULT", {}),
    "AVX-512 without bf16 and AMX": (
        "AVX512",
        {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    ),
    "AVX2": (
        "AVX2",
        {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    ),
    "SSE4.1": (
        "DEFAULT",
        {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    ),
}
"""Each kind of processor: the level that this one has to have, and what makes the libraries see no more."""


def main() -> int:
    from torch.backends import cpu

    here = LEVELS.index(cpu.get_cpu_capability())
    failed = []
    for name, (needed, environment) in KINDS.items():
        if LEVELS.index(needed) > here:
            print(f"== {name}: left out, this processor has no {needed}", flush=True)
            continue
        print(f"== {name}", *(f"{variable}={value}" for variable, value in environment.items()), flush=True)
        if subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:]], env=os.environ | environment).returncode:
            failed.append(name)
    print("\n".join(f"failed: {name}" for name in failed) or "passed on every kind")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
