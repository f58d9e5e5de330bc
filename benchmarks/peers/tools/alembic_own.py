"""Alembic with the revisions of alembic_project."""

from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config

from benchmarks.peers.tools.serving import Cell, serve

PROJECT = Path(__file__).resolve().parents[1] / "alembic_project"


class Alembic:
    """`alembic upgrade`, `stamp` and `upgrade --sql`."""

    packages: tuple[str, ...] = ("alembic", "sqlalchemy")

    def begin(self, cell: Cell) -> None:
        self.cell = cell
        command.stamp(self._config(), "0001")

    def migrate(self) -> None:
        command.upgrade(self._config(), "0002")

    def forget(self) -> None:
        command.stamp(self._config(), "0001")

    def script(self) -> str:
        printed = StringIO()
        command.upgrade(self._config(printed), "0001:0002", sql=True)
        return printed.getvalue()

    def _config(self, output: StringIO | None = None) -> Config:
        config = Config(output_buffer=output, attributes={"cell": self.cell})
        config.set_main_option("script_location", str(PROJECT).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        return config


if __name__ == "__main__":
    serve(Alembic())
