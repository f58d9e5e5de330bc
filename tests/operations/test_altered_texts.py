"""Texts and what they become, indexed or not: the schema is Django's, with the index for LIKE."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from signals import operations
from signals.operations.conversion import convert
from tests.operations.scratch_schema import (
    APP,
    SERIAL,
    backwards,
    catalog_versions,
    execute,
    facts,
    forwards,
    printed_sql,
    project_state,
    psql,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

KINDS: dict[str, Callable[..., Any]] = {
    "text": models.TextField,
    "slug": models.SlugField,
    "char": lambda **options: models.CharField(max_length=80, **options),
    "uuid": models.UUIDField,
    "integer": models.IntegerField,
}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {"db_index": False},
    "indexed": {"db_index": True},
    "unique": {"db_index": False, "unique": True},
}
TEXTS = ("text", "slug", "char")
VARIANTS = [
    (kind, form, collation)
    for kind in KINDS
    for form in FORMS
    for collation in ("", *["C"] * (kind in TEXTS))
]


def field(kind: str, form: str, collation: str) -> Any:
    options = {**FORMS[form], **({"db_collation": collation} if collation else {})}
    return KINDS[kind](null=True, **options)


def targets(variant: tuple[str, str, str]) -> dict[str, tuple[str, str, str]]:
    """The names of columns, and what each becomes; no cast leads from a UUID to a number."""
    apart = {"uuid": "integer", "integer": "uuid"}.get(variant[0])
    others = [each for each in VARIANTS if each != variant and each[0] != apart]
    return {f"f{number}": each for number, each in enumerate(others, 1)}


def made(variant: tuple[str, str, str], *, filled: bool) -> ProjectState:
    """Create the table as Django does, with a column for each target."""
    columns = [(name, field(*variant)) for name in targets(variant)]
    model = ModelState(APP, "Part", [("id", SERIAL), *columns], {"db_table": "part"})
    recreate()
    forwards(
        migrations.CreateModel("Part", list(model.fields.items()), dict(model.options)),
        ProjectState(),
    )
    if filled:
        execute("INSERT INTO part DEFAULT VALUES")
    return project_state(model)


def by_column() -> dict[str, set[tuple[Any, ...]]]:
    """The facts of the catalog, by the columns that they are about."""
    found: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    for fact in facts():
        for name in re.findall(r"\bf\d+\b|(?<=_)f\d+(?=_)", " ".join(fact[:4])):
            if fact[0] != "row":
                found[name].add(fact)
    return found


def run(steps: Sequence[Operation], state: ProjectState) -> None:
    state = state.clone()
    for step in steps:
        forwards(step, state)
        step.state_forwards(APP, state)


def assert_djangos_schema_both_ways(variant: tuple[str, str, str], *, filled: bool) -> None:
    stock = [
        migrations.AlterField("part", name, field(*each)) for name, each in targets(variant).items()
    ]
    run(stock, made(variant, filled=filled))
    wanted = by_column()
    state = made(variant, filled=filled)
    start = by_column()
    changes = convert(stock, APP, state, connection)
    steps: list[Any] = [
        each.altered(allow_rewrite=True)
        if isinstance(each, operations.AlterColumnTypeIfDifferent)
        else each
        for change in changes
        for each in change.operations
    ]
    run(steps, state)
    assert by_column() == wanted
    ours = [each for each in steps if isinstance(each, operations.base.Convergent)]
    assert ours
    before = catalog_versions()
    run(ours, state)
    assert catalog_versions() == before
    for each in ours:
        backwards(each, state)
    back = {each.name for each in ours}
    assert by_column() == {
        name: found[name] for name in wanted for found in [start if name in back else wanted]
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=map("-".join, VARIANTS))
def test_what_it_becomes_is_djangos_schema_both_ways(variant: tuple[str, str, str]) -> None:
    assert_djangos_schema_both_ways(variant, filled=True)


@pytest.mark.parametrize("kind", TEXTS)
def test_what_it_becomes_in_an_empty_table_is_djangos_schema_too(kind: str) -> None:
    assert_djangos_schema_both_ways((kind, "indexed", ""), filled=False)


def part_with(before: Any) -> ProjectState:
    """Create the table as Django does, with one column."""
    model = ModelState(APP, "Part", [("id", SERIAL), ("f1", before)], {"db_table": "part"})
    recreate()
    stock = migrations.CreateModel("Part", list(model.fields.items()), dict(model.options))
    forwards(stock, ProjectState())
    return project_state(model)


def altered(after: Any, name: str = "f1") -> operations.AlterColumnTypeIfDifferent:
    return operations.AlterColumnTypeIfDifferent("part", name, after, allow_rewrite=True)


SLUG, CHAR, TEXT = (field(kind, "indexed", "") for kind in ("slug", "char", "text"))
UUID = field("uuid", "indexed", "")


def test_a_primary_key_and_the_foreign_keys_to_it_have_djangos_indexes() -> None:
    key = models.ForeignKey("bench.part", models.CASCADE, null=True)
    before = models.CharField(max_length=9, primary_key=True)
    part = ModelState(APP, "Part", [("code", before)], {"db_table": "part"})
    piece = ModelState(APP, "Piece", [("id", SERIAL), ("part", key)], {"db_table": "piece"})
    found = []
    after = models.TextField(primary_key=True)
    for operation in (migrations.AlterField("part", "code", after), altered(after, "code")):
        recreate()
        state = ProjectState()
        for model in (part, piece):
            create = migrations.CreateModel(
                model.name, list(model.fields.items()), dict(model.options)
            )
            forwards(create, state)
            create.state_forwards(APP, state)
        start = facts()
        forwards(operation, state)
        found.append([fact for fact in facts() if fact[0] in ("column", "index")])
    assert found[0] == found[1]
    backwards(operation, state)
    assert facts() == start


def test_an_index_for_like_of_another_name_is_the_one_that_goes_or_is_made_anew() -> None:
    for after, opclass in ((TEXT, "text_pattern_ops"), (UUID, "")):
        state = part_with(CHAR)
        rename = migrations.RenameField("part", "f1", "title")
        forwards(rename, state)
        rename.state_forwards(APP, state)
        start = facts()
        execute("INSERT INTO part DEFAULT VALUES")
        forwards(altered(after, "title"), state)
        likes = [fact for fact in facts() if fact[0] == "index" and "_pattern_ops" in fact[3]]
        assert [(fact[2].count("f1"), opclass in fact[3]) for fact in likes] == [(1, True)] * bool(
            opclass
        )
        execute("TRUNCATE part")
        backwards(altered(after, "title"), state)
        if opclass:
            assert facts() == start


def test_values_that_do_not_convert_leave_the_index_for_like() -> None:
    state = part_with(CHAR)
    execute("INSERT INTO part (f1) VALUES ('007')")
    before = catalog_versions()
    with pytest.raises(operations.RowsViolate):
        forwards(altered(field("integer", "indexed", "")), state)
    assert catalog_versions() == before


def test_what_a_run_that_died_between_type_and_index_left_is_healed() -> None:
    state = part_with(CHAR)
    execute("INSERT INTO part DEFAULT VALUES")
    forwards(altered(TEXT), state)
    wanted, alter = facts(), "ALTER TABLE part ALTER f1 TYPE text"
    for left in (
        alter,
        f"{alter}; CREATE INDEX {{like}}_convergent_migrations_new ON part (f1 text_pattern_ops)",
        f"{alter}; DROP INDEX {{like}}",
    ):
        state = part_with(CHAR)
        execute("INSERT INTO part DEFAULT VALUES")
        (like,) = (fact[2] for fact in facts() if fact[0] == "index" and fact[2].endswith("_like"))
        execute(left.format(like=like))
        forwards(altered(TEXT), state)
        assert facts() == wanted


@pytest.mark.parametrize("after", [TEXT, UUID], ids=["text", "uuid"])
def test_the_printed_script_does_the_same_twice_and_back(after: Any) -> None:
    state = part_with(CHAR)
    start = facts()
    forwards(altered(after), state)
    wanted = facts()
    state = part_with(CHAR)
    for back, outcome in ((False, wanted), (True, start)):
        for _ in range(2):
            done = psql(printed_sql(altered(after), state, back=back))
            assert done.stderr.replace("NOTICE", "") == done.stderr
            assert facts() == outcome


def test_a_collation_alone_is_altered_by_the_printed_script() -> None:
    state = part_with(CHAR)
    operation = altered(field("char", "indexed", "C"))
    for back, collation in ((False, "C"), (True, "default")):
        done = psql(printed_sql(operation, state, back=back))
        assert done.stderr == ""
        assert [fact[5] for fact in facts() if fact[:3] == ("column", "part", "f1")] == [collation]


def test_only_an_index_for_like_that_is_made_anew_needs_autocommit() -> None:
    state = project_state(
        ModelState(APP, "Part", [("id", SERIAL), ("f1", CHAR)], {"db_table": "part"})
    )
    needs = {"text": TEXT, "uuid": UUID, "slug": SLUG}
    assert [
        kind for kind, after in needs.items() if altered(after).needs_autocommit(APP, state)
    ] == ["text"]


# As CREATE COLLATION makes it on a server with ICU.
LOOSE = """
CREATE COLLATION loose FROM "C";
UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'loose'
"""


def test_a_collation_under_which_texts_are_equal_forbids_the_index_for_like() -> None:
    state = part_with(CHAR)
    execute(LOOSE)
    start = facts()
    operation = altered(field("char", "indexed", "loose"))
    forwards(operation, state)
    left = [fact[3] for fact in facts() if fact[0] == "index" and "f1" in fact[3]]
    assert [text.partition("btree ")[2] for text in left] == ["(f1)"]
    backwards(operation, state)
    assert facts() == start


@pytest.mark.parametrize("collation", ["C", "loose"])
def test_an_added_text_has_an_index_for_like_where_its_collation_allows_it(collation: str) -> None:
    found = []
    for operation in (
        migrations.AddField("part", "f2", field("char", "indexed", collation)),
        operations.AddColumnIfMissing("part", "f2", field("char", "indexed", collation)),
    ):
        state = part_with(CHAR)
        execute(LOOSE)
        execute("INSERT INTO part DEFAULT VALUES")
        forwards(operation, state)
        found.append(facts())
    assert found[0] == found[1]
    assert len([fact for fact in found[0] if fact[0] == "index"]) == (5 if collation == "C" else 4)
