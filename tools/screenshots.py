"""Take pictures of a report, light and dark, wide and narrow: `python tools/screenshots.py report.html OUT_FOLDER`.

Needs playwright (`pip install playwright`) and a Chromium: the one that playwright installs, or the path in $CHROMIUM.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTHS = (1280, 400)
THEMES = ("light", "dark")


def main() -> None:
    """Write OUT_FOLDER/NAME-THEME-WIDTH.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="report", help="what the files' names begin with")
    parser.add_argument("--height", type=int, help="pixels from the top; the whole page if not given")
    parser.add_argument("--unfold", action="store_true", help="open everything that is folded")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox", "--disable-background-networking"]
        )
        for theme in THEMES:
            for width in WIDTHS:
                view = {"width": width, "height": asked.height or 900}
                tab = browser.new_page(viewport=view, color_scheme=theme, device_scale_factor=1)
                tab.goto(asked.page.resolve().as_uri())
                if asked.unfold:
                    tab.evaluate("document.querySelectorAll('main details').forEach((fold) => { fold.open = true })")
                place = asked.folder / f"{asked.name}-{theme}-{width}.png"
                tab.screenshot(path=place, full_page=asked.height is None)
                print(place)
        browser.close()


if __name__ == "__main__":
    main()
