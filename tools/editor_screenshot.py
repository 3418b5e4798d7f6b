"""Take the picture of VS Code in docs/, with the packed extension and the language server.

This needs `make -C editors in-vscode` and a Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "editors"))

from vs_code import CHROMIUM, PATIENCE, opened, project, served  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "vscode.png"


def main() -> None:
    text = (ROOT / "examples" / "first.sat").read_text("utf-8")
    text = text.replace("snapshot-entropy of ref", "snapshot-entrpy of ref")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        with served(folder) as address:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            place = project(folder / "experiment", "first.sat", text)
            page = opened(browser, address, place, "first.sat", viewport={"width": 1060, "height": 640})
            page.wait_for_selector(".squiggly-error", state="attached", timeout=PATIENCE)
            page.keyboard.press("Control+B")
            page.get_by_text("snapshot-entrpy").first.hover()
            page.wait_for_selector(".monaco-hover:visible", timeout=PATIENCE)
            page.wait_for_timeout(1500)
            page.screenshot(path=PICTURE)
            browser.close()


if __name__ == "__main__":
    main()
