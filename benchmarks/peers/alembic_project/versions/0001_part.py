"""The table; it is there, and the revision is stamped."""

revision = "0001"
down_revision = None


def upgrade() -> None: ...
