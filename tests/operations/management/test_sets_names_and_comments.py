"""A project with an exclusion, sets of fields, a renamed index and comments, and its commands."""

import json

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    KEY,
    migrate_history,
    run_command,
    write_history,
)

FIRST = f"""
migrations.CreateModel("Stay", [{KEY}, ("room", models.TextField(null=True)),
    ("guest", models.TextField(null=True)), ("days", DateRangeField(null=True))],
    {{"indexes": [models.Index(fields=["room"], name="stay_room_idx")],
     "unique_together": {{("room", "days")}}}}),
"""
SECOND = """
migrations.AddConstraint("stay", ExclusionConstraint(name="stay_apart", expressions=[("days", "&&")])),
migrations.AlterUniqueTogether("stay", {("guest", "days")}),
migrations.RenameIndex("stay", new_name="stay_room", old_name="stay_room_idx"),
migrations.AlterModelTableComment("stay", "it's a night or more"),
migrations.AlterField("stay", "guest", models.TextField(null=True, db_comment="as in the passport")),
"""
CLASSES = (
    "AddExclusionIfMissing",
    "AlterUniqueTogetherIfNeeded",
    "RenameIndexIfNeeded",
    "AlterTableCommentIfDifferent",
    "AlterColumnCommentIfDifferent",
)
ROW = "INSERT INTO mill_stay (room, guest, days) VALUES ('1', 'a', '[2026-01-01,2026-01-03)')"
BREAK = """
ALTER TABLE mill_stay DROP CONSTRAINT stay_apart;
ALTER INDEX stay_room RENAME TO stay_other;
COMMENT ON TABLE mill_stay IS 'theirs';
COMMENT ON COLUMN mill_stay.guest IS NULL;
DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE mill_stay DROP CONSTRAINT ' || conname
FROM pg_constraint WHERE conrelid = 'mill_stay'::regclass AND contype = 'u'); END $$;
"""


def converted(project: Project) -> None:
    """Let convergent_migration write the second migration anew, and insist on the exclusion."""
    path = project.folder / "mill/migrations/0002_step.py"
    run_command(project, "convergent_migration", "mill", "0002")
    text = path.read_text()
    assert [each for each in CLASSES if f"operations.{each}(" in text] == list(CLASSES)
    path.write_text(text.replace('"&&")]))', '"&&")]), allow_blocking_build=True)'))


def test_they_are_written_migrated_found_repaired_printed_and_taken_back(
    unmigrated_project: Project,
) -> None:
    project = unmigrated_project
    migrate_history(project, FIRST)
    project.database.run(ROW)
    write_history(project, SECOND)
    converted(project)
    run_command(project, "lint_migrations", "mill", code=1)

    shown, _ = run_command(project, "migrate_preview", "mill", code=1)
    assert "ALTER INDEX" in shown
    assert "EXCLUDE USING GIST" in shown
    run_command(project, "migrate", "mill", "-v0")
    run_command(project, "verify_schema", "--strict")

    project.database.run(BREAK)
    out, _ = run_command(project, "verify_schema", "--json", code=1)
    kinds = sorted(
        each["component"]
        for each in json.loads(out)["databases"][0]["components"]
        if each["finding"]
    )
    assert kinds == ["comment", "comment", "exclusion", "index", "unique"]
    run_command(project, "verify_schema", "--repair", "--replace", "--no-input")
    run_command(project, "verify_schema", "--strict")

    project.database.run(
        BREAK.replace("stay_other", "stay_room_idx"),
        "DELETE FROM django_migrations WHERE name = '0002_step'",
    )
    run_command(project, "migrate", "mill", "-v0")
    run_command(project, "verify_schema", "--strict")

    plain, _ = run_command(project, "sqlmigrate", "mill", "0002", "--plain")
    assert 'ALTER INDEX "stay_room_idx" RENAME TO "stay_room";' in plain
    assert "gexec" not in plain
    guarded, _ = run_command(project, "sqlmigrate", "mill", "0002")
    assert guarded.count("\\gexec") > len(CLASSES)

    run_command(project, "migrate", "mill", "0001", "-v0")
    run_command(project, "verify_schema", "--strict")
    project.database.run("DELETE FROM mill_stay")
    run_command(project, "migrate", "mill", "zero", "-v0")
