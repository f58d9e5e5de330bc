"""Judge one statement of SQL, as PostgreSQL's parser prints its tree in JSON."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from . import rules as rule
from . import tables
from .alter_table import Broken, alter_table_faults
from .steps import Step
from .tables import relation

_SHARE_LOCK = 5  # PostgreSQL's number of the weakest lock that stops writers
# What has no IF NOT EXISTS at all, and what has it by this key of its tree.
_WITHOUT_GUARD = ("CreateEnumStmt", "CreateDomainStmt", "CompositeTypeStmt", "CreateRangeStmt")
_GUARDS = {
    **dict.fromkeys(("CreateStmt", "CreateTableAsStmt", "CreateSeqStmt"), "if_not_exists"),
    **dict.fromkeys(("CreateSchemaStmt", "CreateExtensionStmt", "IndexStmt"), "if_not_exists"),
    **dict.fromkeys(("CreateFunctionStmt", "ViewStmt", "CreateTrigStmt"), "replace"),
    **dict.fromkeys(("DropStmt",), "missing_ok"),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement: the tag of its tree, such as IndexStmt, and the tree below it."""

    tag: str
    node: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SqlScript:
    """The statements of one text, which PostgreSQL runs in one transaction."""

    statements: tuple[Parsed, ...]

    @classmethod
    def of(cls, trees: Iterable[dict[str, Any]]) -> "SqlScript":
        return cls(tuple(Parsed(*next(iter(each["stmt"].items()))) for each in trees))


def created_table(statement: Parsed) -> str:
    """Return the table that the statement creates; empty if it creates none."""
    match statement.tag:
        case "CreateStmt":
            return relation(statement.node)
        case "CreateTableAsStmt":
            return str(statement.node["into"]["rel"]["relname"])
    return ""


def changed_table(statement: Parsed) -> str:
    """Return the table whose definition the statement changes under a lock that stops writers."""
    node = statement.node
    match statement.tag:
        case "IndexStmt" if not node.get("concurrent"):
            return relation(node)
        case "AlterTableStmt" if node.get("objtype") == "OBJECT_TABLE":
            kinds = {each["AlterTableCmd"]["subtype"] for each in node["cmds"]}
            return "" if kinds == {"AT_ValidateConstraint"} else relation(node)
        case "RenameStmt" | "CreateTrigStmt" if "relation" in node:
            return relation(node)
    return ""


def statement_faults(
    statement: Parsed, text: SqlScript, step: Step, own: set[str], is_followed: bool
) -> Broken:
    """Yield the rules that the statement breaks, and what in it breaks them.

    own: the tables that statements before it have created.
    is_followed: whether something changes the database behind the text.
    """
    judge = _JUDGES.get(statement.tag)
    if judge is not None and not _names(statement) & own:
        yield from judge(statement.node, step)
    shown = _shown(statement)
    is_alone = not step.is_atomic and len(text.statements) == 1
    if _needs_autocommit(statement) and not is_alone:
        why = "in a transaction" if step.is_atomic else "in one text with other statements"
        yield rule.CONCURRENT_IN_TRANSACTION, f"{shown} {why}"
    if _is_done_once(statement) and is_alone and (is_followed or statement.node.get("concurrent")):
        yield rule.UNREPEATABLE, shown
    if step.is_atomic and statement.tag == "TransactionStmt":
        yield rule.TRANSACTION_CONTROL, "RunSQL begins or ends a transaction"
    validated = _validated_at_once(statement, text, step)
    if validated:
        yield rule.CHECK_SCANS, f"VALIDATE CONSTRAINT {validated} in the transaction that adds it"


def _names(statement: Parsed) -> set[str]:
    """Return the one table that the statement works on, in a set."""
    return {relation(statement.node)} - {""}


def _shown(statement: Parsed) -> str:
    """Return the statement in a few words."""
    words = {
        "IndexStmt": "CREATE INDEX",
        "DropStmt": "DROP",
        "VacuumStmt": "VACUUM",
        "ReindexStmt": "REINDEX",
        "AlterEnumStmt": "ALTER TYPE … ADD VALUE",
        "AlterTableStmt": "ALTER TABLE",
        "CreateStmt": "CREATE TABLE",
        "CreateTableAsStmt": "CREATE TABLE AS",
        "CreateFunctionStmt": "CREATE FUNCTION",
        "CreateTrigStmt": "CREATE TRIGGER",
        "ViewStmt": "CREATE VIEW",
    }
    word = words.get(statement.tag) or statement.tag.removesuffix("Stmt")
    concurrently = " CONCURRENTLY" if _needs_autocommit(statement) and word != "VACUUM" else ""
    name = relation(statement.node)
    return f"{word}{concurrently}{f' on {name}' if name else ''}"


def _needs_autocommit(statement: Parsed) -> bool:
    node = statement.node
    if statement.tag == "VacuumStmt":
        return bool(node.get("is_vacuumcmd"))
    if statement.tag == "ReindexStmt":
        return "concurrently" in tables.options(node, "params")
    is_concurrent = statement.tag in ("IndexStmt", "DropStmt") and node.get("concurrent")
    return bool(is_concurrent)


def _is_done_once(statement: Parsed) -> bool:
    """Return whether the statement, done and committed, fails if it is run again."""
    node = statement.node
    if statement.tag in _WITHOUT_GUARD:
        return True
    if statement.tag == "AlterEnumStmt":
        return bool(node.get("newVal")) and not node.get("skipIfNewValExists")
    if statement.tag == "AlterTableStmt":
        commands = [each["AlterTableCmd"] for each in node["cmds"]]
        guarded = {"AT_AddColumn", "AT_DropColumn", "AT_DropConstraint"}
        is_unguarded = any(
            each["subtype"] in guarded and not each.get("missing_ok") for each in commands
        )
        return is_unguarded or any(each["subtype"] == "AT_AddConstraint" for each in commands)
    guard = _GUARDS.get(statement.tag)
    is_temporary = node.get("relation", {}).get("relpersistence") == "t"
    return guard is not None and not node.get(guard) and not is_temporary


def _validated_at_once(statement: Parsed, text: SqlScript, step: Step) -> str:
    """Return the constraint that the statement validates while the lock of its addition is held."""
    if statement.tag != "AlterTableStmt":
        return ""
    found = [each["AlterTableCmd"] for each in statement.node["cmds"]]
    wanted = {each.get("name") for each in found if each["subtype"] == "AT_ValidateConstraint"}
    added = {
        each["AlterTableCmd"].get("def", {}).get("Constraint", {}).get("conname")
        for other in text.statements
        if other.tag == "AlterTableStmt"
        for each in other.node["cmds"]
        if each["AlterTableCmd"]["subtype"] == "AT_AddConstraint"
    }
    added |= {name for _, name in step.added} if step.is_atomic else set()
    return next(iter(wanted & added - {None}), "")


def _index(node: dict[str, Any], step: Step) -> Broken:
    table = relation(node)
    if not node.get("concurrent") and tables.is_existing(step, table):
        yield rule.INDEX_BLOCKS_WRITERS, f"CREATE INDEX on {table}"


def _drop(node: dict[str, Any], step: Step) -> Broken:
    if node["removeType"] == "OBJECT_SCHEMA" and node.get("behavior") == "DROP_CASCADE":
        schemas = [each["String"]["sval"] for each in node["objects"]]
        yield rule.TABLE_REMOVED, f"DROP SCHEMA {', '.join(schemas)} CASCADE"
    lists = [each["List"]["items"] for each in node["objects"] if "List" in each]
    names = [each[-1]["String"]["sval"] for each in lists]
    match node["removeType"]:
        case "OBJECT_INDEX" if not node.get("concurrent"):
            yield rule.INDEX_DROP_BLOCKS, f"DROP INDEX {', '.join(names)}"
        case "OBJECT_TABLE":
            used = [each for each in names if tables.is_in_use(step, each)]
            yield from ((rule.TABLE_REMOVED, f"DROP TABLE {each}") for each in used)


def _rename(node: dict[str, Any], step: Step) -> Broken:
    table, column = relation(node), node.get("subname", "")
    match node["renameType"]:
        case "OBJECT_COLUMN" if tables.is_in_use(step, table, column):
            yield rule.COLUMN_RENAMED, f"RENAME COLUMN {table}.{column}"
        case "OBJECT_TABLE" if tables.is_in_use(step, table):
            yield rule.TABLE_RENAMED, f"RENAME of {table}"


def _move(node: dict[str, Any], step: Step) -> Broken:
    if node["objectType"] == "OBJECT_TABLE" and tables.is_in_use(step, relation(node)):
        yield rule.TABLE_RENAMED, f"SET SCHEMA of {relation(node)}"


def _lock(node: dict[str, Any], step: Step) -> Broken:
    names = [each["RangeVar"]["relname"] for each in node["relations"]]
    existing = [each for each in names if tables.is_existing(step, each)]
    if existing and node["mode"] >= _SHARE_LOCK:
        yield rule.LOCKS_TABLE, f"LOCK TABLE {', '.join(existing)}"


def _vacuum(node: dict[str, Any], _step: Step) -> Broken:
    if "full" in tables.options(node, "options"):
        yield rule.REWRITES, "VACUUM FULL"


def _cluster(node: dict[str, Any], _step: Step) -> Broken:
    yield rule.REWRITES, f"CLUSTER {relation(node)}".rstrip()


def _truncate(node: dict[str, Any], step: Step) -> Broken:
    names = [each["RangeVar"]["relname"] for each in node["relations"]]
    existing = [each for each in names if tables.is_existing(step, each)]
    if existing:
        yield rule.TRUNCATES, f"TRUNCATE {', '.join(existing)}"


def _update(node: dict[str, Any], step: Step) -> Broken:
    if "whereClause" not in node and tables.is_existing(step, relation(node)):
        word = "UPDATE" if "targetList" in node else "DELETE FROM"
        yield rule.ALL_ROWS, f"{word} {relation(node)} without WHERE"


def _trigger(node: dict[str, Any], step: Step) -> Broken:
    if tables.is_existing(step, relation(node)):
        yield rule.TRIGGER_CREATED, f"CREATE TRIGGER {node['trigname']} on {relation(node)}"


def _reindex(node: dict[str, Any], _step: Step) -> Broken:
    if "concurrently" not in tables.options(node, "params"):
        yield rule.INDEX_BLOCKS_WRITERS, f"REINDEX {relation(node)}".rstrip()


def _refresh(node: dict[str, Any], _step: Step) -> Broken:
    if not node.get("concurrent"):
        yield rule.VIEW_REFRESH_BLOCKS, f"REFRESH MATERIALIZED VIEW {relation(node)}"


_JUDGES: dict[str, Callable[[dict[str, Any], Step], Broken]] = {
    "IndexStmt": _index,
    "DropStmt": _drop,
    "AlterTableStmt": alter_table_faults,
    "RenameStmt": _rename,
    "AlterObjectSchemaStmt": _move,
    "LockStmt": _lock,
    "VacuumStmt": _vacuum,
    "ClusterStmt": _cluster,
    "TruncateStmt": _truncate,
    "UpdateStmt": _update,
    "DeleteStmt": _update,
    "CreateTrigStmt": _trigger,
    "ReindexStmt": _reindex,
    "RefreshMatViewStmt": _refresh,
}
