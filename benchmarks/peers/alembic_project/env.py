"""As `alembic init` makes it; the database is the cell's."""

import psycopg
import sqlalchemy
from alembic import context

cell = context.config.attributes["cell"]

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(cell.conninfo),
        poolclass=sqlalchemy.NullPool,
    )
    with engine.connect() as connection:
        # As the documentation of autocommit_block() advises.
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
