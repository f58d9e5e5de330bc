"""What the case declares, as people write it by hand."""

import sqlalchemy as sa
from alembic import op

from benchmarks.peers.cases import Component

revision = "0002"
down_revision = "0001"

IS_HALF = r"label LIKE '50\%%'"


def upgrade() -> None:
    cell = op.get_context().config.attributes["cell"]
    for component in cell.declares:
        add(component, cell.table)


def add(component: Component, table: str) -> None:
    match component:
        case Component.COLUMN:
            op.add_column(table, sa.Column("grade", sa.Integer()))
        case Component.CHECK:
            op.create_check_constraint("part_amount_check", table, "amount > 0")
        case Component.INDEX:
            create_index("part_label_idx", table, ["label"])
        case Component.UNIQUE:
            op.create_unique_constraint("part_label_key", table, ["label"])
        case Component.PERCENT_CHECK:
            op.create_check_constraint("part_percent_check", table, f"NOT {IS_HALF}")
        case Component.PERCENT_INDEX:
            create_index("part_percent_idx", table, ["amount"], sa.text(IS_HALF))
        case Component.STATE:
            default = sa.Column("state", sa.Text(), nullable=False, server_default="candidate")
            op.add_column(table, default)
        case Component.STATE_CHECK:
            states = "state IN ('candidate', 'verified', 'downgraded')"
            op.create_check_constraint("part_state_check", table, states)
        case Component.STATE_INDEX:
            create_index("part_state_idx", table, ["state", "made_at"])


def create_index(
    name: str, table: str, columns: list[str], where: sa.TextClause | None = None
) -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            name,
            table,
            columns,
            if_not_exists=True,
            postgresql_concurrently=True,
            postgresql_where=where,
        )
