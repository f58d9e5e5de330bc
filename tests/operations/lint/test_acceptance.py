"""Findings that are accepted: by a comment with a reason, by an attribute, or in a baseline."""

import json

import pytest

from tests.operations.lint.lint_project import INDEX, REMOVAL, LintProject

ALONE = INDEX.strip()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(f"# lint: accept L101 a small table\n        {ALONE}", id="above"),
        pytest.param(
            f"# lint: accept index-blocks-writers a small table\n# yes\n        {ALONE}", id="name"
        ),
        pytest.param(f"{ALONE}  # lint: accept L101,L205: a small table", id="behind"),
        pytest.param(
            'migrations.AddIndex(\n  "item",  # lint: accept L101 a small table\n'
            '  models.Index(fields=["amount"], name="item_amount")),',
            id="inside",
        ),
        pytest.param(
            f"# lint: accept L101 a small table\nmigrations.SeparateDatabaseAndState([\n{ALONE}]),",
            id="around",
        ),
        pytest.param(
            "migrations.SeparateDatabaseAndState(state_operations=[], database_operations=[\n"
            f"# lint: accept L101 a small table\n{ALONE}]),",
            id="within",
        ),
    ],
)
def test_a_comment_with_a_reason_accepts(project: LintProject, lines: str) -> None:
    project.write("0002_more", lines, after="0001_initial")
    report = project.report(code=0)
    (accepted,) = report["accepted"]
    assert (accepted["rule"], accepted["accepted"]) == ("L101", "a small table")
    others = {each["rule"] for each in report["findings"]}
    assert others == ({"L902"} if "L205" in lines else set())


def test_a_comment_accepts_that_operation_alone(project: LintProject) -> None:
    second = INDEX.replace("item_amount", "again")
    project.write("0002_more", f"# lint: accept L101 small\n{INDEX}", second, after="0001_initial")
    (found,) = project.report()["findings"]
    assert found["what"].startswith("Create index again ")


@pytest.mark.parametrize(
    ("comment", "rule", "what"),
    [
        ("# lint: accept L101", "L901", "The comment gives no reason"),
        ("# lint: accept", "L901", "The comment accepts no rule"),
        ("# lint: accept L999 small", "L901", "The comment accepts L999, which is no rule"),
        (
            "# lint: accept L205 small",
            "L902",
            "The comment accepts L205 insert-fails, which is not broken",
        ),
    ],
)
def test_a_comment_that_accepts_nothing_is_a_finding(
    project: LintProject, comment: str, rule: str, what: str
) -> None:
    path = project.write("0002_more", f"        {comment}\n{INDEX}", after="0001_initial")
    found, index = project.report()["findings"]
    assert (found["rule"], found["what"], found["operation"]) == (rule, what, [])
    assert path.read_text().splitlines()[found["line"] - 1].strip() == comment
    assert index["rule"] == "L101"


def test_a_comment_elsewhere_accepts_nothing(project: LintProject) -> None:
    path = project.write("0002_more", INDEX, after="0001_initial")
    path.write_text(
        f"# lint: accept L101 small\n{path.read_text()}TEXT = '# lint: accept L101 x'\n"
    )
    assert [rule for _, rule in project.found()] == ["L902", "L101"]


def test_accept_blocking_accepts_what_blocks(project: LintProject) -> None:
    path = project.write("0002_more", INDEX, REMOVAL, after="0001_initial")
    path.write_text(
        path.read_text().replace("    atomic", "    accept_blocking = True\n    atomic")
    )
    report = project.report()
    assert [each["rule"] for each in report["findings"]] == ["L201"]
    assert [each["accepted"] for each in report["accepted"]] == ["accept_blocking = True"]


def test_a_comment_is_not_known_to_be_idle_where_sql_is_not_judged(project: LintProject) -> None:
    project.settings('sys.modules["pglast"] = None')
    sql = '        migrations.RunSQL("DROP INDEX x", ""),  # lint: accept L110 nobody uses it'
    project.write("0002_more", sql, after="0001_initial")
    assert project.found(code=0) == []


def test_a_baseline_accepts_what_was_there(project: LintProject) -> None:
    """Its entries hold when lines move, and those that nothing is like are told."""
    first = project.write("0002_more", INDEX, after="0001_initial")
    wrote = project.run("--baseline", "known.json", "--write-baseline")
    assert wrote == ("Wrote 1 finding to known.json\n", "")
    first.write_text("\n\n" + first.read_text())
    assert project.found("--baseline", "known.json", code=0) == []
    project.settings("CONVERGENT_MIGRATIONS = {'LINT': {'BASELINE': 'known.json'}}")
    project.write("0003_more", REMOVAL, after="0002_more")
    assert project.found() == [("depot.0003_more", "L201")]
    project.run("--write-baseline")
    assert project.report(code=0)["accepted"][0]["accepted"] == "in the baseline"
    project.write("0003_more", "", after="0002_more")
    (found,) = project.report(code=0)["findings"]
    assert (found["rule"], found["path"], found["line"]) == ("L902", "known.json", 3)
    assert found["what"] == (
        "The baseline accepts L201 of depot.0003_more (Remove field note from item), which is not broken"
    )


def test_a_baseline_of_some_migrations_keeps_the_others(project: LintProject) -> None:
    project.write("0002_more", INDEX, after="0001_initial")
    project.write("0002_more", INDEX, after="0001_initial", app="shop")
    words = ("--baseline", "known.json", "--write-baseline")
    project.run(*words)
    project.write("0002_more", REMOVAL, after="0001_initial")
    assert project.run("depot", *words) == ("Wrote 2 findings to known.json\n", "")
    entries = json.loads((project.folder / "known.json").read_text())["accepted"]
    assert [(each["migration"], each["rule"]) for each in entries] == [
        ("depot.0002_more", "L201"),
        ("shop.0002_more", "L101"),
    ]


def test_an_empty_baseline_is_one(project: LintProject) -> None:
    project.run("--baseline", "known.json", "--write-baseline")
    assert project.found("--baseline", "known.json", code=0) == []


def test_a_baseline_that_cannot_be_written_is_told(project: LintProject) -> None:
    assert project.run("--baseline", "no/where.json", "--write-baseline", code=3) == (
        "",
        "CommandError: the baseline no/where.json cannot be written: No such file or directory\n",
    )
