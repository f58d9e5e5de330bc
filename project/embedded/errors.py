"""What keeps the embedded PostgreSQL from serving; every text ends with the fix."""

from pathlib import Path


class EmbeddedPostgresError(Exception):
    """The root of this package's errors."""


class ProgramsError(EmbeddedPostgresError):
    """There are no PostgreSQL programs, or they cannot be run."""


class FolderError(EmbeddedPostgresError):
    """A folder cannot serve for the cluster."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        super().__init__(f"{folder} {text}")


class ServerError(EmbeddedPostgresError):
    """A process of the server's did not come up or did not go down."""

    def __init__(self, text: str, log: str = "") -> None:
        self.log = log
        super().__init__(f"{text}\n{log}".rstrip())
