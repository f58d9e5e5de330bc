"""The options of verify_schema, and which of them exclude each other."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from .arguments import ExitCode, find_migration, load_migrations, require_alias, require_app
from .shadow_options import add_shadow_arguments, refuse_shadow_contradictions

_EXCLUSIVE = (
    ("json", "sql"),
    ("repair", "sql"),
    ("dry_run", "json"),
    ("database", "all_databases"),
    ("schema", "schemas"),
)
_OF_REPAIR = ("replace", "dry_run")


def add_verify_arguments(parser: CommandParser) -> None:
    """Add the arguments and options of verify_schema."""
    parser.add_argument("app_label", nargs="?", help="this application alone, as in signals")
    parser.add_argument(
        "migration_name",
        nargs="?",
        help="this migration alone, or a unique beginning, as in 0012",
    )
    parser.add_argument("--database", help="alias of the database, by default 'default'")
    for name, text in {
        "all-databases": "each database of the settings that is a PostgreSQL",
        "all": "show every row, not only findings",
        "json": "print one JSON object",
        "sql": "print the SQL that repairs, for psql; it may run twice",
        "quiet": "print nothing; the exit code has the result",
        "allow-empty": "accept a database in which no migration is recorded as applied",
        "strict": "count undeclared components and notes of health as findings too",
        "repair": "build what is missing or unfinished, and verify again",
        "replace": "with --repair: replace what differs, where that is possible without a gap",
        "dry-run": "with --repair: print the statements, and change nothing",
    }.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument(
        "--prometheus", metavar="FILE", help="what was found, for node_exporter, in FILE.prom"
    )
    parser.add_argument(
        "--schema", help="the schema to survey; it is put in front of the search_path"
    )
    parser.add_argument(
        "--schemas",
        metavar="PATTERN",
        help="each schema whose name is LIKE it, as in 'tenant_%%'; shows what is not right",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="with --schemas and --repair: the number of schemas to repair at a time",
    )
    parser.add_argument(
        "--no-input",
        "--noinput",
        action="store_false",
        dest="interactive",
        help="with --repair: do not ask first",
    )
    add_shadow_arguments(parser)


def database_aliases(options: dict[str, Any]) -> list[str]:
    """Return the aliases of the databases to survey; raise CommandError for an unknown one."""
    if options["all_databases"]:
        return list(connections)
    alias = options["database"] or DEFAULT_DB_ALIAS
    require_alias(alias)
    return [alias]


def named_migration(options: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the app and the migration named, if any; raise CommandError for an unknown one."""
    app, name = options["app_label"], options["migration_name"]
    if app is None:
        return None, None
    loader = load_migrations()
    require_app(loader, app)
    return app, find_migration(loader, app, name).name if name else None


def is_of_one_migration(options: dict[str, Any]) -> bool:
    """Return whether one migration is reported by itself, applied or not."""
    together = options["repair"] or options["sql"] or options["schemas"]
    return bool(options["migration_name"] and not together)


def refuse_contradictions(options: dict[str, Any]) -> None:
    """Raise CommandError for options that exclude or lack each other, or have impossible values."""
    refuse_shadow_contradictions(options)
    for one, other in _EXCLUSIVE:
        if options[one] and options[other]:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in (one, other))
            raise CommandError(f"{names} exclude each other", returncode=ExitCode.USAGE)
    for name in _OF_REPAIR:
        if options[name] and not options["repair"]:
            raise CommandError(
                f"--{name.replace('_', '-')} goes with --repair", returncode=ExitCode.USAGE
            )
    pattern = options["schemas"] or ""
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise CommandError(
            f"--schemas {pattern!r} ends with a backslash, which must escape another character "
            "(write it twice)",
            returncode=ExitCode.USAGE,
        )
    if options["jobs"] < 1:
        raise CommandError("--jobs is 1 or more", returncode=ExitCode.USAGE)
    if options["jobs"] > 1 and not (options["schemas"] and options["repair"]):
        raise CommandError("--jobs goes with --schemas and --repair", returncode=ExitCode.USAGE)
    if options["migration_name"] and options["all_databases"]:
        raise CommandError(
            "a migration is shown for one database (use --database)", returncode=ExitCode.USAGE
        )
