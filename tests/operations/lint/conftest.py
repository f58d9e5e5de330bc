"""The project that lint_migrations runs in."""

from pathlib import Path

import pytest

from tests.operations.lint.lint_project import LintProject, new_lint_project


@pytest.fixture
def project(tmp_path: Path) -> LintProject:
    return new_lint_project(tmp_path)
