"""Chooses what this machine can run, when tests are collected and in words: nothing is skipped."""

import os
import shutil

from tests.admin.browser import NAMES

# CI installs a browser, so there a missing one is a failure.
HAS_BROWSER = "CHROMIUM" in os.environ or "CI" in os.environ or any(map(shutil.which, NAMES))

collect_ignore = [] if HAS_BROWSER else ["admin/test_browser.py"]


def pytest_report_header() -> str:
    if HAS_BROWSER:
        return "browser tests: collected"
    return "browser tests: not collected, there is no browser (apt-get install chromium, or CHROMIUM=/path)"
