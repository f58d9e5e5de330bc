"""Chooses what this machine can run, when tests are collected and in words: nothing is skipped."""

import os
import shutil

import hypothesis
import hypothesis.database

from tests.admin.browser import NAMES

# CI installs a browser, so there a missing one is a failure.
HAS_BROWSER = "CHROMIUM" in os.environ or "CI" in os.environ or any(map(shutil.which, NAMES))

collect_ignore = [] if HAS_BROWSER else ["admin/test_browser.py"]


def pytest_report_header() -> str:
    if HAS_BROWSER:
        return "browser tests: collected"
    return "browser tests: not collected, there is no browser (apt-get install chromium, or CHROMIUM=/path)"


# What an ordinary run and CI draw is the same each time; a nightly run looks for what is new, and
# keeps what it found in .hypothesis/.
hypothesis.settings.register_profile(
    "ordinary", max_examples=50, deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile(
    "nightly",
    max_examples=20_000,
    deadline=None,
    print_blob=True,
    database=hypothesis.database.DirectoryBasedExampleDatabase(".hypothesis/examples"),
)
hypothesis.settings.load_profile("ordinary")
