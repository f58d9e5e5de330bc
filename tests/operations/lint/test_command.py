"""manage.py lint_migrations: what it prints, how it ends, and which migrations it looks at."""

import pytest

from tests.operations.lint.lint_project import INDEX, REMOVAL, LintProject

FOUND = """\
depot/migrations/0002_more.py:9: error L101 index-blocks-writers: Create index item_amount on field(s) \
amount of model item
    writers wait while the index is built
    fix: build it concurrently: CreateIndexConcurrentlyIfMissing, or CREATE INDEX CONCURRENTLY without a \
transaction (manage.py convergent_migration depot 0002_more writes it)
1 error, 0 warnings in 3 migrations
"""
SQL = """\
        migrations.RunSQL("DROP INDEX x", migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState([migrations.RunSQL("DROP INDEX y", "")]),
        migrations.RunSQL("", ""),"""


def test_a_project_without_findings_ends_with_0(project: LintProject) -> None:
    """Its database is not to be reached, and is not asked."""
    assert project.run() == ("0 errors, 0 warnings in 2 migrations\n", "")


def test_a_finding_is_told_with_place_reason_and_fix(project: LintProject) -> None:
    project.write("0002_more", INDEX, after="0001_initial")
    assert project.run(code=1) == (FOUND, "")


def test_a_warning_alone_ends_with_0(project: LintProject) -> None:
    project.write("0002_more", '        migrations.RunSQL("SELECT 1"),', after="0001_initial")
    out, _ = project.run()
    assert "0002_more.py:9: warning L401 irreversible: " in out
    assert out.endswith("0 errors, 1 warning in 3 migrations\n")


def test_each_migration_is_a_release_unless_files_are_named(project: LintProject) -> None:
    first = project.folder / "depot/migrations/0001_initial.py"
    second = project.write("0002_more", INDEX, after="0001_initial")
    assert project.found("depot") == [("depot.0002_more", "L101")]
    assert project.found("shop", code=0) == []
    assert project.found(str(second)) == [("depot.0002_more", "L101")]
    assert project.found(str(first), str(second), code=0) == []
    assert project.found(str(first.parent / "__init__.py"), code=0) == []


def test_initial_migrations_of_an_app_are_one_release(project: LintProject) -> None:
    path = project.write("0002_initial", INDEX, after="0001_initial")
    path.write_text(path.read_text().replace("    atomic", "    initial = True\n    atomic"))
    assert project.found(code=0) == []


def test_what_is_dropped_after_a_release_without_it_is_no_finding(project: LintProject) -> None:
    """Within one release it is: the release before still reads the column."""
    state = f"        migrations.SeparateDatabaseAndState(state_operations=[{REMOVAL.strip()}]),"
    first = project.write("0002_state", state, after="0001_initial")
    drop = '        migrations.RunSQL("ALTER TABLE depot_item DROP COLUMN note", ""),'
    second = project.write("0003_drop", drop, after="0002_state")
    assert project.found("depot", code=0) == []
    assert project.found(str(first), str(second)) == [("depot.0003_drop", "L201")]


def test_a_squash_is_not_judged_nor_what_it_replaces(project: LintProject) -> None:
    project.write("0002_more", INDEX, after="0001_initial")
    path = project.write("0001_squashed", INDEX.replace("amount", "other"))
    text = path.read_text().replace(
        "    atomic",
        f"    replaces = {[('depot', '0001_initial'), ('depot', '0002_more')]}\n    atomic",
    )
    tables = (project.folder / "depot/migrations/0001_initial.py").read_text()
    body = tables[tables.index("        migrations.CreateModel") : tables.rindex("    ]")]
    path.write_text(text.replace(INDEX.replace("amount", "other"), body + INDEX))
    assert project.found(code=0) == []


def test_installed_packages_are_left_out_unless_asked_for(project: LintProject) -> None:
    report = project.report("--all", code=1)
    assert report["migrations"] == 4
    assert {each["migration"] for each in report["findings"]} == {
        "contenttypes.0002_remove_content_type_name"
    }


def test_sql_that_nobody_can_read_is_told(project: LintProject) -> None:
    project.settings('sys.modules["pglast"] = None')
    project.write("0002_more", SQL, after="0001_initial")
    out, complaint = project.run()
    assert out == "0 errors, 0 warnings in 3 migrations\n"
    assert complaint == (
        "2 RunSQL not judged: pglast is not installed "
        "(pip install 'django-convergent-migrations[lint]')\n"
    )
    project.settings("")
    assert project.found() == [("depot.0002_more", "L110")] * 2


def test_a_project_without_postgresql_is_judged_for_one(project: LintProject) -> None:
    project.settings(
        'DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}}'
    )
    project.write("0002_more", INDEX, after="0001_initial")
    assert project.found() == [("depot.0002_more", "L101")]


def test_tables_that_the_routers_keep_away_are_left_out(project: LintProject) -> None:
    (project.folder / "away.py").write_text(
        "class Router:\n    def allow_migrate(self, db, app_label, **hints):\n"
        "        return app_label != 'depot'\n"
    )
    project.settings('DATABASE_ROUTERS = ["away.Router"]')
    project.write("0002_more", INDEX, after="0001_initial")
    project.write("0002_more", INDEX, after="0001_initial", app="shop")
    assert project.found() == [("shop.0002_more", "L101")]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (
            ("nowhere",),
            2,
            "'nowhere' is neither an app with migrations nor the file of a migration of an installed app",
        ),
        (
            ("--write-baseline",),
            2,
            "--write-baseline needs a file (use --baseline FILE, or the setting BASELINE of LINT)",
        ),
        (
            ("--baseline", "gone.json"),
            3,
            "the baseline gone.json cannot be read: No such file or directory (make it by --write-baseline)",
        ),
        (
            ("--baseline", "depot_settings.py"),
            3,
            "depot_settings.py is no baseline of version 1 (make it anew by --write-baseline)",
        ),
    ],
)
def test_wrong_arguments_are_told(
    project: LintProject, words: tuple[str, ...], code: int, told: str
) -> None:
    assert project.run(*words, code=code) == ("", f"CommandError: {told}\n")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("7", "CONVERGENT_MIGRATIONS['LINT'] is 7 (use a dictionary)"),
        ("{'X': 1}", "CONVERGENT_MIGRATIONS['LINT']['X'] is not a setting (use RULES, BASELINE)"),
        ("{'RULES': []}", "CONVERGENT_MIGRATIONS['LINT']['RULES'] is [] (use a dictionary)"),
        (
            "{'RULES': {'L000': 'off'}}",
            "CONVERGENT_MIGRATIONS['LINT']['RULES']['L000'] is not a rule (use one of docs/lint.md)",
        ),
        (
            "{'RULES': {'L101': 'on'}}",
            "CONVERGENT_MIGRATIONS['LINT']['RULES']['L101'] is 'on' (use off, warning, error)",
        ),
        (
            "{'BASELINE': 1}",
            "CONVERGENT_MIGRATIONS['LINT']['BASELINE'] is 1 (use the path of a file)",
        ),
    ],
)
def test_wrong_settings_are_told(project: LintProject, value: str, told: str) -> None:
    project.settings(f"CONVERGENT_MIGRATIONS = {{'LINT': {value}}}")
    assert project.run(code=3) == ("", f"CommandError: {told}\n")


def test_settings_turn_rules_on_and_off(project: LintProject) -> None:
    project.settings(
        "CONVERGENT_MIGRATIONS = {'LOCK_WAIT': 5, 'LINT': {'RULES': {"
        "'index-blocks-writers': 'off', 'L201': 'warning'}}}"
    )
    project.write("0002_more", INDEX, REMOVAL, after="0001_initial")
    assert project.found(code=0) == [("depot.0002_more", "L201")]


def test_waits_without_a_limit_are_told_where_migrate_sets_none(project: LintProject) -> None:
    """By the setting, or by the attribute of a migration."""
    new = '        migrations.AddField("item", "x", models.IntegerField(null=True)),'
    path = project.write("0002_more", new, after="0001_initial")
    assert project.found(code=0) == []
    path.write_text(
        path.read_text().replace("    atomic", "    limit_every_statement = False\n    atomic")
    )
    assert project.found() == [("depot.0002_more", "L104")]
    project.write("0002_more", REMOVAL, after="0001_initial")
    assert project.found() == [("depot.0002_more", "L201")]
    project.settings("CONVERGENT_MIGRATIONS = {'LIMIT_EVERY_STATEMENT': False}")
    assert project.found() == [("depot.0002_more", "L104"), ("depot.0002_more", "L201")]
    project.settings("CONVERGENT_MIGRATIONS = {'LIMIT_EVERY_STATEMENT': 7}")
    _, complaint = project.run(code=3)
    assert complaint.startswith("CommandError: CONVERGENT_MIGRATIONS['LIMIT_EVERY_STATEMENT'] is 7")


def test_a_migration_that_does_not_fit_is_told(project: LintProject) -> None:
    project.write("0002_more", REMOVAL.replace("item", "gone"), after="0001_initial")
    out, complaint = project.run(code=3)
    assert out == ""
    assert complaint.startswith(
        "CommandError: depot.0002_more cannot be replayed on the migrations"
    )
