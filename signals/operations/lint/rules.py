"""The rules of lint_migrations and of the system check W003: what each finds, why, and the fix."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding of a rule counts: an error ends the command with 1, a warning is only printed."""

    OFF = "off"
    WARNING = "warning"
    ERROR = "error"


class Topic(StrEnum):
    """What a group of rules is about; the hundreds of their ids."""

    LOCKS = "Locks, scans and rewrites"
    RELEASE = "The release that still runs"
    TRANSACTIONS = "Transactions"
    REPEATING = "Going back and running again"
    SQL = "Statements of RunSQL"
    LINT = "The acceptances themselves"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is found, and what to do about it.

    is_written: whether `makemigrations --convergent` and `convergent_migration` write the fix for Django's
        operation.
    blocks: whether the system check W003 reports it of unapplied operations.
    """

    id: str
    name: str
    topic: Topic
    reason: str
    fix: str
    is_written: bool = False
    level: Level = Level.ERROR
    blocks: bool = False


INDEX_BLOCKS_WRITERS = Rule(
    "L101",
    "index-blocks-writers",
    Topic.LOCKS,
    "writers wait while the index is built",
    "build it concurrently: CreateIndexConcurrentlyIfMissing, or CREATE INDEX CONCURRENTLY without a "
    "transaction",
    is_written=True,
    blocks=True,
)
INDEX_BLOCKS_ALL = Rule(
    "L102",
    "index-blocks-everyone",
    Topic.LOCKS,
    "nobody reads or writes while the index is built",
    "build the index concurrently first: AddUniqueIfMissing or AddColumnIfMissing do; in SQL, CREATE UNIQUE "
    "INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX",
    is_written=True,
    blocks=True,
)
EXCLUSION_BLOCKS_ALL = Rule(
    "L103",
    "exclusion-blocks-everyone",
    Topic.LOCKS,
    "nobody reads or writes while the index of the exclusion constraint is built, and PostgreSQL knows no "
    "other way",
    "AddExclusionIfMissing refuses a table with rows; add it there with allow_blocking_build=True, while the "
    "table is small or nobody works, and accept this finding with the reason",
    is_written=True,
    blocks=True,
)
QUEUES = Rule(
    "L104",
    "lock-without-timeout",
    Topic.LOCKS,
    "while it waits for its lock, every other session queues behind it",
    "let migrate limit its statements (LIMIT_EVERY_STATEMENT), or use the convergent operation",
    is_written=True,
    blocks=True,
)
FOREIGN_KEY_BLOCKS = Rule(
    "L105",
    "foreign-key-blocks-everyone",
    Topic.LOCKS,
    "nobody reads or writes while its foreign key is checked and its index built",
    "add the foreign key NOT VALID, validate it afterwards and build its index concurrently: "
    "AddColumnIfMissing or AddForeignKeyIfMissing",
    is_written=True,
    blocks=True,
)
CHECK_SCANS = Rule(
    "L106",
    "check-scans-under-lock",
    Topic.LOCKS,
    "nobody reads or writes while the rows are scanned",
    "add the check NOT VALID and validate it in another transaction: AddCheckIfMissing or AddColumnIfMissing",
    is_written=True,
    blocks=True,
)
NOT_NULL_SCANS = Rule(
    "L107",
    "not-null-scans-under-lock",
    Topic.LOCKS,
    "nobody reads or writes while the rows are scanned for NULL",
    "validate a check of IS NOT NULL first, which SET NOT NULL then takes as proof: SetNotNullIfNullable",
    is_written=True,
    blocks=True,
)
REWRITES = Rule(
    "L108",
    "rewrites-table",
    Topic.LOCKS,
    "nobody reads or writes while the table or its indexes are rewritten",
    "add a new column, fill it in batches, and let the code change over to it",
    blocks=True,
)
VOLATILE_DEFAULT = Rule(
    "L109",
    "volatile-default-rewrites-table",
    Topic.LOCKS,
    "nobody reads or writes while the table is rewritten, because the default differs from row to row",
    "add the column with null=True and leave_existing_null=True, then BackfillInBatches, then "
    "SetNotNullIfNullable",
    blocks=True,
)
INDEX_DROP_BLOCKS = Rule(
    "L110",
    "index-drop-blocks-everyone",
    Topic.LOCKS,
    "nobody reads or writes while it waits for its lock, and then until the end of the transaction",
    "drop it concurrently: DropIndexConcurrentlyIfPresent, or DROP INDEX CONCURRENTLY without a transaction",
    is_written=True,
    blocks=True,
)
VIEW_REFRESH_BLOCKS = Rule(
    "L111",
    "refresh-blocks-readers",
    Topic.LOCKS,
    "nobody reads the materialized view while it is refreshed",
    "give it a unique index, and REFRESH MATERIALIZED VIEW CONCURRENTLY",
)

COLUMN_REMOVED = Rule(
    "L201",
    "column-removed",
    Topic.RELEASE,
    "the release that still runs names the column in every SELECT and INSERT, and fails",
    "remove it by RemoveColumnIfPresent in two phases (PHASE: expand), or from the state alone "
    "(SeparateDatabaseAndState), release that, and drop the column in a later release",
)
TABLE_REMOVED = Rule(
    "L202",
    "table-removed",
    Topic.RELEASE,
    "the release that still runs reads and writes the table, and fails",
    "remove it by RemoveTableIfPresent in two phases (PHASE: expand), or from the state alone "
    "(SeparateDatabaseAndState), release that, and drop the table in a later release",
)
COLUMN_RENAMED = Rule(
    "L203",
    "column-renamed",
    Topic.RELEASE,
    "the release that still runs uses the old name of the column, and fails",
    "rename it by RenameColumnIfNeeded in two phases (PHASE: expand), or keep the column: give the field "
    "db_column with the old name",
)
TABLE_RENAMED = Rule(
    "L204",
    "table-renamed",
    Topic.RELEASE,
    "the release that still runs uses the old name of the table or of its columns, and fails",
    "rename it by RenameTableIfNeeded in two phases (PHASE: expand), or keep the table: give the model "
    "db_table with the old name",
)
INSERT_FAILS = Rule(
    "L205",
    "insert-fails",
    Topic.RELEASE,
    "the release that still runs does not know the column, so that its INSERT leaves it NULL, and fails",
    "add it by AddColumnIfMissing with a default in two phases (PHASE: expand), or give the field a "
    "db_default, or null=True until that release is gone",
)
NULL_REFUSED = Rule(
    "L206",
    "null-refused",
    Topic.RELEASE,
    "the release that still runs writes NULL where it is given no value, and fails",
    "give the field a default in a release before, or fill it by BackfillInBatches and close it by "
    "SetNotNullIfNullable in two phases (PHASE: expand)",
)
NARROWED = Rule(
    "L207",
    "type-narrowed",
    Topic.RELEASE,
    "what the release that still runs writes or reads may not be of the new type",
    "add a new column of that type, write both, and let the code change over to it",
)
DEFAULT_DROPPED = Rule(
    "L208",
    "db-default-dropped",
    Topic.RELEASE,
    "the release that still runs leaves the column to its database default, so that its INSERT fails",
    "drop the db_default in the release after the one that writes the value itself",
)
LEFT_NOT_NULL = Rule(
    "L209",
    "not-null-column-left",
    Topic.RELEASE,
    "the column stays without a default, so that the INSERT of a release that no longer knows it fails",
    "give the field a db_default or null=True in a migration before",
)

CONCURRENT_IN_TRANSACTION = Rule(
    "L301",
    "needs-autocommit",
    Topic.TRANSACTIONS,
    "PostgreSQL or the operation refuses to run in a transaction",
    "set atomic = False on the migration, and send that statement by itself",
    is_written=True,
)
DATA_IN_SCHEMA_TRANSACTION = Rule(
    "L302",
    "data-with-schema-change",
    Topic.TRANSACTIONS,
    "the lock of the schema change is held while rows are changed, and PostgreSQL may refuse the one after "
    "the other",
    "move it to a migration of its own",
)
SEVERAL_LOCKS = Rule(
    "L303",
    "several-tables-locked",
    Topic.TRANSACTIONS,
    "the locks of several tables are held together, which takes all of them from the others and may deadlock",
    "send a statement each, in a migration with atomic = False",
    level=Level.WARNING,
)
TRANSACTION_CONTROL = Rule(
    "L304",
    "transaction-control",
    Topic.TRANSACTIONS,
    "it ends or begins the transaction under Django, which goes on as if it had not",
    "leave out BEGIN and COMMIT, and set atomic as it is to be",
)

IRREVERSIBLE = Rule(
    "L401",
    "irreversible",
    Topic.REPEATING,
    "migrate cannot go back over it",
    "give reverse_code or reverse_sql, be it noop",
    level=Level.WARNING,
)
UNREPEATABLE = Rule(
    "L402",
    "not-repeatable",
    Topic.REPEATING,
    "a run that failed later cannot be started again: the statement is committed, and fails the second time",
    "add IF NOT EXISTS, IF EXISTS or OR REPLACE, or use the convergent operation",
    level=Level.WARNING,
)
HALF_DONE = Rule(
    "L403",
    "half-done",
    Topic.REPEATING,
    "a run that failed later cannot be started again: without a transaction the operation stays done, and "
    "fails the second time",
    "use convergent operations, or one operation a migration",
    is_written=True,
    level=Level.WARNING,
)
MODEL_IMPORTED = Rule(
    "L404",
    "model-imported",
    Topic.REPEATING,
    "the model of today has columns that the database does not have yet when the migration runs",
    "take it from apps.get_model()",
)

ALL_ROWS = Rule(
    "L501",
    "all-rows-in-one-statement",
    Topic.SQL,
    "every row stays locked until the end of the statement, and as many dead rows are left behind",
    "change the rows in batches: BackfillInBatches",
)
TRUNCATES = Rule(
    "L502",
    "truncate",
    Topic.SQL,
    "nobody reads or writes meanwhile, and what the release that still runs has stored is gone",
    "delete in batches those rows that nobody needs",
)
LOCKS_TABLE = Rule(
    "L503",
    "lock-table",
    Topic.SQL,
    "others wait until the end of the transaction",
    "leave it out: each statement takes the lock that it needs",
)
TRIGGER_CREATED = Rule(
    "L504",
    "create-trigger",
    Topic.SQL,
    "writers queue behind it while it waits for its lock, and then it runs for the statements of the release "
    "that still runs too",
    "set lock_timeout, write a function that suits both releases, and accept this finding with the reason",
    level=Level.WARNING,
)
SQL_UNREADABLE = Rule(
    "L505",
    "unreadable-sql",
    Topic.SQL,
    "PostgreSQL's parser refuses the text, so that it is not judged, and would fail",
    "correct the statement",
    level=Level.WARNING,
)

ACCEPTED_WITHOUT_REASON = Rule(
    "L901",
    "acceptance-without-reason",
    Topic.LINT,
    "nobody can tell whether it still holds",
    "write # lint: accept RULE REASON, with a rule that there is",
)
NOTHING_ACCEPTED = Rule(
    "L902",
    "nothing-accepted",
    Topic.LINT,
    "no finding of that rule is at this place",
    "remove the comment, or the line of the baseline",
    level=Level.WARNING,
)

RULES: tuple[Rule, ...] = tuple(each for each in list(globals().values()) if isinstance(each, Rule))
"""All rules, by their ids."""

RULE_OF = {key: each for each in RULES for key in (each.id, each.name)}
"""The rules by their ids and by their names."""
