"""Why a test that passes with Django's operations fails with the convergent ones."""

import re

BY_DESIGN = "by design"
DEFECT = "to look at"

# Each design with patterns for a test's id and its traceback; one that is met shows the design.
_DESIGNS = {
    "a concurrent build refuses to run inside a transaction": (r"NeedsAutocommit",),
    "going back refuses to drop a table with rows": (r"Refused: .*backwards: table \S+ has rows",),
    "a type that writes a table with rows anew, or that its dependents rule out, is refused": (
        r"Refused: .* rewrites table \S+",
        r"StatementRefused: Alter type of ",
    ),
    "an AlterField that also undoes a check or a uniqueness is refused": (
        r"Refused: Alter type of .* no longer (unique|indexed|checked)",
    ),
    "the optimizer merges convergent operations into none but a new table": (
        r"^migrations\.test_optimizer\.",
        r"^migrations\.test_commands\.(OptimizeMigration|SquashMigrations)Tests\.",
        r"\.test_makemigrations_update\b",
        r"\.test_reduce_add_rename\b",
    ),
    "the test counts on an atomic schema editor, and this run makes all non-atomic": (
        r"\.test_run_python_atomic\b",
        r"\.test_requires_atomic_false\b",
        r"\.test_migrations_applied_and_recorded_atomically\b",
        r"(Create|Remove)CollationTests\.test_(create|remove)\b",
    ),
    "NULLs are filled by BackfillInBatches, not by SetNotNullIfNullable": (
        r"\.test_alter_field_change_blank_nullable_database_default_to_not_null\b",
    ),
    "a rename of an index reads the catalog, and builds the index that is missing": (
        r"\.test_rename_index(_unnamed_index|_unknown_unnamed_index)?\b",
    ),
    "a table that exists is adopted without --fake-initial": (
        r"\.test_(migrate_fake_initial|migrate_initial_false|soft_apply)\b",
    ),
    "sqlmigrate prints a script for psql, with guarded statements": (r"\.test_sqlmigrate_",),
}


def reason(test: str, failure: dict[str, str] | None) -> tuple[str, str]:
    """The kind, and a text that failures of one cause share."""
    if failure is None:
        return DEFECT, "it did not run: its class or the whole run failed before"
    for text, patterns in _DESIGNS.items():
        if any(re.search(pattern, f"{test}\n{failure['traceback']}") for pattern in patterns):
            return BY_DESIGN, text
    first = re.sub(r"\d+", "N", failure["message"].strip().split("\n")[0])[:120]
    place = f" at `{failure['line'].strip()}`" if failure["kind"] == "AssertionError" else ""
    return DEFECT, f"{failure['kind']}: {first}{place}"
