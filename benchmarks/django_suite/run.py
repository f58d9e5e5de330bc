"""One run of Django's runtests.py: python -m benchmarks.django_suite.run FOLDER ARGUMENT…"""

import runpy
import sys
from pathlib import Path
from typing import Any

from django.contrib.postgres.operations import CreateExtension

from benchmarks.django_suite.settings import RUN


def main() -> None:
    folder, *arguments = sys.argv[1:]
    CreateExtension.database_forwards = _if_available(CreateExtension.database_forwards)  # type: ignore[method-assign]
    if RUN == "patched":
        from benchmarks.django_suite.patch import patch

        patch()
    sys.path.append(folder)  # last: Django's tests have a package `signals` too
    sys.argv = [str(Path(folder) / "runtests.py"), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _if_available(create: Any) -> Any:
    """postgres_tests start with every extension of contrib; the embedded server lacks pgcrypto."""

    def wrapped(self: Any, app_label: str, schema_editor: Any, *states: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            question = "SELECT FROM pg_catalog.pg_available_extensions WHERE name = %s"
            cursor.execute(question, [self.name])
            is_available = cursor.fetchone() is not None
        if is_available:
            create(self, app_label, schema_editor, *states)

    return wrapped


if __name__ == "__main__":
    main()
