"""Pictures of the report's first screen as docs/report.md shows them: three widths, light and dark.

python benchmarks/report_pictures.py
"""

import shutil
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PAGE, FOLDER = Path("report/index.html"), Path("docs/report")
SIZES = ((375, 812), (768, 1024), (1280, 800))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> None:
    """Open the page at each width in each scheme, without a network, and keep what is seen."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    browser_file = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width, height in SIZES:
                size = {"width": width, "height": height}
                context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
                page = context.new_page()
                page.goto(PAGE.resolve().as_uri())
                with Image.open(BytesIO(page.screenshot())) as seen:
                    seen.convert("RGB").save(FOLDER / f"{width}-{scheme}.webp", lossless=True)
                context.close()
        browser.close()


if __name__ == "__main__":
    main()
