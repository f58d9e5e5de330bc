"""A real browser: Debian's chromium or another one, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def find_browser() -> str:
    """The path of the browser that CHROMIUM names, else of the first one on the PATH."""
    wanted = os.environ.get("CHROMIUM")
    for name in (wanted,) if wanted else NAMES:
        if path := shutil.which(name):
            return path
    what = f"CHROMIUM is {wanted!r}, which is no program" if wanted else "No browser was found"
    pytest.fail(
        f"{what} (install one: apt-get install chromium; or say where one is: CHROMIUM=/path/to/it)",
        pytrace=False,
    )


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A running browser.

    While it runs, Playwright's event loop makes Django take every query of this thread for one in a
    coroutine, which it is not; so Django is told to allow them until the browser is closed.
    """
    path = find_browser()
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
