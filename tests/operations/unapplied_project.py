"""Look ahead in a project of which no migration is applied yet."""

from django.db.migrations.state import ProjectState


class UnappliedExecutor:
    """Stand in for the executor of a project of which no migration is applied yet."""

    applied_migrations: tuple[()] = ()

    def __init__(self, state: ProjectState) -> None:
        self.state = state

    @property
    def loader(self) -> "UnappliedExecutor":
        return self

    def _create_project_state(self, *, with_applied_migrations: bool) -> ProjectState:
        assert with_applied_migrations
        return self.state.clone()
