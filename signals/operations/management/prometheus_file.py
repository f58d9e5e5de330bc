"""The file of verify_schema --prometheus, for the textfile collector of node_exporter."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from ..drift.prometheus import Textfile
from .arguments import ExitCode

SUFFIX = ".prom"  # node_exporter reads no other files

_READABLE = 0o644  # node_exporter runs as another user


@contextmanager
def written_at_the_end(options: Mapping[str, Any]) -> Iterator[Textfile]:
    """Write the file that --prometheus names when the block ends, however it ends.

    A run with wrong options reads no database, and leaves the file as it is.

    Raise CommandError if the file has another suffix, cannot be written, or would be for one app only.
    """
    name = options["prometheus"]
    path = Path(name) if name else None
    if path and (path.suffix != SUFFIX or options["app_label"]):
        fix = f"name a file *{SUFFIX}" if path.suffix != SUFFIX else "name no app"
        what = f"--prometheus writes about whole databases, to a file for node_exporter ({fix})"
        raise CommandError(what, returncode=ExitCode.USAGE)
    textfile = Textfile(strict=options["strict"])
    try:
        yield textfile
    finally:
        if path and textfile.runs:
            _write(path, str(textfile))


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole, so that a reader sees either the old text or the new one."""
    try:
        number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
                file.write(text)
            Path(temporary).chmod(_READABLE)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        what = f"the file {str(path)!r} cannot be written: {error.strerror}"
        raise CommandError(what, returncode=ExitCode.CONFIGURATION) from error
