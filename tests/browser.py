"""A real browser: Debian's chromium or another one, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (1280, 400)  # of a window on a desk, and of a telephone

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Open a browser for the tests of a module."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def complaints() -> list[str]:
    """The faults of the page so far: dialogs, errors in scripts, failed requests."""
    return []


@pytest.fixture
def page(browser: Browser, live_server: Any, complaints: list[str]) -> Iterator[Page]:
    """A page that a superuser is logged in to."""
    client = Client()
    client.force_login(User.objects.create_superuser("chief"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    with browser.new_context(base_url=live_server.url) as context:
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
        page = context.new_page()
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.extend(_errors(line)))
        yield page


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page in the folder that SCREENSHOTS names, if it names one."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def _errors(line: ConsoleMessage) -> list[str]:
    """The line if it is an error; that a site has no icon is none."""
    if line.type != "error" or line.location["url"].endswith("/favicon.ico"):
        return []
    return [line.text]
