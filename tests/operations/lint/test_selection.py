"""lint_migrations --diff: the migrations of a branch, and what is said where git cannot tell."""

import shutil

import pytest

from tests.operations.lint.lint_project import INDEX, REMOVAL, LintProject


@pytest.fixture
def branch(project: LintProject) -> LintProject:
    """Commit the project with a finding on main, and go on in a branch."""
    project.write("0002_old", INDEX, after="0001_initial")
    project.git("init", "-q", "-b", "main")
    project.git("add", ".")
    project.git("commit", "-q", "-m", "main")
    project.git("switch", "-q", "-c", "branch")
    return project


def test_only_what_differs_from_the_base_is_linted(branch: LintProject) -> None:
    """Committed, changed and not yet known to git; what main has got meanwhile is none of it."""
    assert branch.found("--diff", "main", code=0) == []
    branch.write("0003_committed", REMOVAL, after="0002_old")
    branch.git("add", ".")
    branch.git("commit", "-q", "-m", "branch")
    branch.write("0002_more", INDEX, after="0001_initial", app="shop")
    assert branch.found("--diff", "main") == [
        ("depot.0003_committed", "L201"),
        ("shop.0002_more", "L101"),
    ]
    assert branch.found("shop", "--diff", "main") == [("shop.0002_more", "L101")]
    branch.git("switch", "-q", "main")
    branch.write("0003_other", "", after="0002_old")
    branch.git("add", "depot/migrations/0003_other.py")
    branch.git("commit", "-q", "-m", "main again")
    branch.git("switch", "-q", "branch")
    assert branch.report("--diff", "main")["migrations"] == 2


def test_a_branch_is_one_release(branch: LintProject) -> None:
    new = '        migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),'
    branch.write("0003_new", new, after="0002_old")
    late = '        migrations.AddField("new", "x", models.IntegerField(db_index=True, default=0)),'
    branch.write("0004_late", late, after="0003_new")
    assert branch.found("--diff", "main", code=0) == []
    assert branch.found("depot") == [
        ("depot.0002_old", "L101"),
        ("depot.0004_late", "L102"),
        ("depot.0004_late", "L205"),
    ]


def test_a_changed_migration_is_linted_and_a_removed_one_is_not(branch: LintProject) -> None:
    path = branch.folder / "depot/migrations/0002_old.py"
    path.write_text(path.read_text() + "\n")
    (branch.folder / "shop/migrations/0001_initial.py").unlink()
    assert branch.found("--diff", "main") == [("depot.0002_old", "L101")]


def test_paths_are_those_of_the_repository(branch: LintProject) -> None:
    folder = branch.folder / "src"
    folder.mkdir()
    for name in ("depot", "shop", "manage.py", "depot_settings.py"):
        shutil.move(branch.folder / name, folder / name)
    branch.git("add", ".")
    branch.git("commit", "-q", "-m", "src")
    path = folder / "depot/migrations/0002_old.py"
    path.write_text(path.read_text() + "\n")
    (found,) = LintProject(folder).report("--diff", "HEAD")["findings"]
    assert found["path"] == "src/depot/migrations/0002_old.py"


@pytest.mark.parametrize("base", ["nowhere", "--output=x"])
def test_an_unknown_base_is_told(branch: LintProject, base: str) -> None:
    _, complaint = branch.run(f"--diff={base}", code=4)
    assert complaint == (
        f"CommandError: git has no revision {base!r} (fetch it first, and in CI fetch the whole history)\n"
    )


def test_a_base_without_a_common_commit_is_told(branch: LintProject) -> None:
    branch.git("switch", "-q", "--orphan", "alone")
    branch.git("commit", "-q", "--allow-empty", "-m", "alone")
    branch.git("switch", "-q", "branch")
    _, complaint = branch.run("--diff", "alone", code=4)
    assert complaint == (
        "CommandError: git knows no commit that 'alone' and HEAD have in common "
        "(in CI, fetch the whole history)\n"
    )


def test_a_folder_without_a_repository_is_told(project: LintProject) -> None:
    _, complaint = project.run("--diff", "main", code=4)
    assert complaint.startswith("CommandError: git rev-parse failed: fatal: not a git repository")
