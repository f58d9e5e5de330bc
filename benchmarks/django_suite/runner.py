"""A test runner that writes each test's outcome to the file that DJANGO_SUITE_OUTCOMES names."""

import json
import os
import traceback
import unittest
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner

from benchmarks.django_suite.settings import RUN


class RecordingResult(unittest.TextTestResult):
    """Remembers outcomes by test: '' for one that passed, else why it did not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, dict[str, str]] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        super().addSuccess(test)
        self.outcomes.setdefault(test.id(), {})

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802 - unittest's name
        super().addFailure(test, err)
        self._fail(test, err)

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802 - unittest's name
        super().addError(test, err)
        self._fail(test, err)

    def addSubTest(  # noqa: N802 - unittest's name
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any
    ) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, err)

    def _fail(self, test: unittest.TestCase, err: Any) -> None:
        kind, error, trace = err
        frames = [
            frame for frame in traceback.extract_tb(trace) if "/unittest/" not in frame.filename
        ]
        in_tests = [frame for frame in frames if "/tests/" in frame.filename]
        self.outcomes[test.id()] = {
            "kind": kind.__name__,
            "message": str(error),
            "line": (in_tests or frames)[-1].line or "" if frames else "",
            "traceback": "".join(traceback.format_exception(kind, error, trace)),
        }


class RecordingRunner(DiscoverRunner):
    def get_resultclass(self) -> type[RecordingResult]:
        return RecordingResult

    def suite_result(self, suite: Any, result: Any, **kwargs: Any) -> int:
        uses: dict[str, int] = {}
        if RUN == "patched":
            from benchmarks.django_suite.patch import Switch

            uses = Switch.uses
        record = {"outcomes": result.outcomes, "uses": uses}
        Path(os.environ["DJANGO_SUITE_OUTCOMES"]).write_text(json.dumps(record, indent=1))
        return super().suite_result(suite, result, **kwargs)
