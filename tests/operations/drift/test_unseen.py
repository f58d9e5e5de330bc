"""A gate that sees nothing fails, and says which grant, setting or command lets it see."""

import json
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.operations.projects.project import Project
from tests.postgres.databases import Database

pytestmark = pytest.mark.usefixtures("unblocked_database")


@pytest.fixture
def role(stock_project: Project) -> Iterator[str]:
    name = f"gate_{secrets.token_hex(4)}"
    database = stock_project.database
    database.run(f"CREATE ROLE {name}")
    yield name
    database.run(f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def verify_as(project: Project, role: str, *words: str) -> tuple[int, str, str]:
    """Run the command in sessions that have the rights of the role."""
    url = project.database.url + f"%20-c%20role%3D{role}"
    done = project.verify(*words, DATABASE_URL=url)
    return done.returncode, done.stdout, done.stderr.removeprefix("CommandError: ").rstrip("\n")


@pytest.mark.parametrize("words", [(), ("auth",), ("auth", "0001"), ("--strict", "--json")])
def test_a_schema_that_may_not_be_used_is_exit_code_4_with_the_grant(
    stock_project: Project, role: str, words: tuple[str, ...]
) -> None:
    stock_project.database.run("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    code, _, said = verify_as(stock_project, role, *words)
    assert code == 4
    assert (
        f"the database 'default' cannot be judged: role {role} may not use the schema public, in which "
        f"migrations are recorded (GRANT USAGE ON SCHEMA public TO {role}; "
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role})"
    ) in said
    stock_project.database.run(
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT TEMPORARY ON DATABASE {stock_project.database.name} TO {role}",
    )
    assert verify_as(stock_project, role, *words)[0] in (0, 1)


def test_a_closed_schema_behind_the_roles_own_is_exit_code_4_too(
    stock_project: Project, role: str
) -> None:
    stock_project.database.run(
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC", f"CREATE SCHEMA AUTHORIZATION {role}"
    )
    code, shown, said = verify_as(stock_project, role, "--allow-empty")
    assert (code, shown) == (4, "")
    assert f"role {role} may not use the schema public" in said


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("REVOKE SELECT ON django_migrations FROM {role}", "may not read public.django_migrations"),
        (
            "ALTER TABLE django_migrations ENABLE ROW LEVEL SECURITY",
            "row level security hides rows of public.django_migrations",
        ),
    ],
)
def test_records_that_cannot_be_read_are_exit_code_4_with_what_to_change(
    stock_project: Project, role: str, statement: str, said: str
) -> None:
    stock_project.database.run(
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", statement.format(role=role)
    )
    code, shown, told = verify_as(stock_project, role, "--allow-empty")
    assert (code, shown) == (4, "")
    assert said in told


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("''", 'the search_path "" of role'),
        ("nowhere", "leads to no schema that it may use; migrations are recorded in public (ALTER"),
    ],
)
@pytest.mark.parametrize("words", [(), ("--allow-empty",), ("auth", "0001")])
def test_a_search_path_that_leads_nowhere_is_exit_code_4(
    stock_project: Project, path: str, said: str, words: tuple[str, ...]
) -> None:
    stock_project.database.run(
        f"ALTER DATABASE {stock_project.database.name} SET search_path = {path}"
    )
    done = stock_project.verify(*words)
    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr


def test_a_new_database_has_words_of_its_own(copy: Callable[[str], Database]) -> None:
    database = copy("empty")
    what = "CommandError: no migration is recorded as applied in the database 'default': "
    why = "as before the first migrate (run migrate); --allow-empty accepts it\n"
    place = "schema public has no table django_migrations, "
    for words in ((), ("signals",), ("--repair", "--no-input"), ("--json",)):
        done = database.manage("verify_schema", *words)
        assert done.returncode == 4
        assert what + place + why in done.stderr
        if "--json" in words:
            shown = json.loads(done.stdout)
            assert (shown["clean"], shown["databases"]) == (False, [])
            assert place in shown["errors"][0]["reason"]
        else:
            assert done.stdout == ""
    database.run(
        "CREATE TABLE django_migrations (id serial, app text, name text, applied timestamptz)"
    )
    done = database.manage("verify_schema")
    assert done.stderr == f"{what}public.django_migrations is empty, {why}"
    database.run("INSERT INTO django_migrations (app, name) VALUES ('elsewhere', '0001_initial')")
    done = database.manage("verify_schema")
    assert (done.returncode, "are none of this project's" in done.stderr) == (4, True)
    shown = database.manage("verify_schema", "--allow-empty", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["clean"]) == (0, True)


def test_records_elsewhere_are_named(stock_project: Project) -> None:
    stock_project.database.run(
        "CREATE SCHEMA app", f"ALTER DATABASE {stock_project.database.name} SET search_path = app"
    )
    done = stock_project.verify()
    assert done.returncode == 4
    assert "the search_path app leads to none of the records in public (set the" in done.stderr


def test_a_view_of_the_records_is_told(stock_project: Project) -> None:
    stock_project.psql(
        "ALTER TABLE django_migrations RENAME TO o; CREATE VIEW django_migrations AS TABLE o"
    )
    done = stock_project.verify()
    assert (done.returncode, "public.django_migrations is a view" in done.stderr) == (4, True)


def test_schemas_without_a_migration_are_a_gate_that_sees_nothing(
    copy: Callable[[str], Database],
) -> None:
    database = copy("empty")
    database.run("CREATE SCHEMA tenant_1", "CREATE SCHEMA tenant_2")
    done = database.manage("verify_schema", "--schemas", "tenant%")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no migration is recorded as applied in any schema like tenant%" in done.stderr
    done = database.manage("verify_schema", "--schemas", "tenant%", "--allow-empty")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_schema_named_that_may_not_be_used_is_told_from_one_that_is_not_there(
    stock_project: Project, role: str
) -> None:
    stock_project.database.run('CREATE SCHEMA "Closed 100%"')
    code, _, said = verify_as(stock_project, role, "--schema", "Closed 100%")
    grant = f'(GRANT USAGE ON SCHEMA "Closed 100%" TO {role})'
    assert (code, said.endswith(grant)) == (4, True)
    code, _, said = verify_as(stock_project, role, "--schema", "Closed 1000")
    assert (code, said) == (2, "there is no schema Closed 1000 in the database 'default'")


def test_a_migration_of_djangos_own_operations_is_not_clean_before_it_is_applied(
    copy: Callable[[str], Database],
) -> None:
    done = copy("clean").manage("verify_schema", "sessions", "0001")
    assert (done.returncode, done.stdout) == (4, "")
    assert "sessions.0001_initial is not recorded as applied" in done.stderr
