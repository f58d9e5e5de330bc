"""Draw databases in which some components are absent, there, unfinished or other ones."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.db import models
from django.db.migrations import Migration
from django.db.migrations.state import ModelState, ProjectState
from hypothesis import strategies as st

from signals import operations
from tests.operations import scratch_schema
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.cases import CASES
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.scratch_schema import (
    OTHER_SCHEMA,
    PART_TABLE,
    SCHEMA,
    part_model,
    project_state,
)


def case(name: str, operation: Any, **options: Any) -> Case:
    """A case of what only a migration of several operations can hold; its texts are tested elsewhere."""
    return Case(
        name=name,
        make=lambda: operation,
        full=lambda: operation,
        describes=operation.describe(),
        fragment="",
        django=None,
        **options,
    )


def other_definition(what: str, sql: str, name: str) -> OtherDefinition:
    return OtherDefinition(what, sql, name, found="", wanted="", fix="")


STATES = models.CheckConstraint(
    condition=models.Q(state__in=("candidate", "verified")), name="part_state_check"
)
STATE_INDEX = models.Index(fields=["state", "made_at"], name="part_state_made_at")
MADE_AT_ONLY = models.Index(fields=["made_at"], name="part_made_at")
COLOUR_INDEX = models.Index(fields=["colour", "made_at"], name="part_colour_made_at")

# A later operation of the migration stands on the column that an earlier one adds.
DEPENDENT = {
    "check of the new column": "column with a default",
    "index of the new column": "column with a default",
}
TOGETHER = (
    case(
        "check of the new column",
        operations.AddCheckIfMissing("part", STATES),
        done="ALTER TABLE part ADD CONSTRAINT part_state_check "
        "CHECK (state = ANY (ARRAY['candidate', 'verified']))",
        unfinished={
            "not valid": "ALTER TABLE part ADD CONSTRAINT part_state_check "
            "CHECK (state IN ('candidate', 'verified')) NOT VALID"
        },
        component="check",
        other_definitions=(
            other_definition(
                "a value more",
                "ALTER TABLE part ADD CONSTRAINT part_state_check "
                "CHECK (state IN ('candidate', 'verified', 'downgraded'))",
                "part_state_check",
            ),
        ),
    ),
    case(
        "index of the new column",
        operations.CreateIndexConcurrentlyIfMissing("part", STATE_INDEX, [MADE_AT_ONLY]),
        done="CREATE INDEX part_state_made_at ON part USING btree (state, made_at ASC)",
        unfinished={
            "cancelled build": cancelled_build(
                "CREATE INDEX CONCURRENTLY part_state_made_at ON part (state, made_at)"
            )
        },
        component="index",
        other_definitions=(
            other_definition(
                "descending",
                "CREATE INDEX part_state_made_at ON part (state, made_at DESC)",
                "part_state_made_at",
            ),
        ),
    ),
    case(
        "index, its fallback",
        operations.CreateIndexConcurrentlyIfMissing("part", COLOUR_INDEX, [MADE_AT_ONLY]),
        done="CREATE INDEX part_made_at ON part (made_at NULLS LAST)",
        models=(part_model(("colour", models.TextField(null=True))),),
        unfinished={
            "cancelled build": cancelled_build(
                "CREATE INDEX CONCURRENTLY part_made_at ON part (made_at)"
            )
        },
        component="index",
        other_definitions=(
            other_definition(
                "a hash",
                "CREATE INDEX part_made_at ON part USING hash (made_at)",
                "part_made_at",
            ),
        ),
    ),
)
ALL = {each.name: each for each in (*CASES, *TOGETHER)}

# Of each of these one migration declares one, because they are about the same thing.
ALIKE = (
    {each for each in ALL if "exclusion" in each},
    {each for each in ALL if each.startswith("unique together")},
    {each for each in ALL if "index" in each and "together" in each},
    {each for each in ALL if "table comment" in each},
    {"index", "dropped index", "renamed index"},
)
OF_AMOUNT = ALIKE[0] | ALIKE[1] | ALIKE[2]

# Of these one migration declares one: they share a name, or one's rows stand against the other.
CLASHES = (
    *({one, other} for group in ALIKE for one, other in combinations(sorted(group), 2)),
    *({"removed column", each} for each in OF_AMOUNT),
    *({"column type", each} for each in ALIKE[0]),
    {"column comment", "not null"},
    {"foreign key column", "foreign key column without a constraint"},
    {"unique constraint", "unique index with a condition"},
    {"unique constraint", "backfill"},
    {"unique index with a condition", "backfill"},
    {"not null", "backfill"},
    {"index of the new column", "index, its fallback"},
    {"column with an index", "positive column"},
    {"foreign key", "foreign key column"},
    {"foreign key", "foreign key column without a constraint"},
    {"removed check", "check"},
    {"removed check", "column type"},
    {"removed column", "check"},
    {"removed column", "column type"},
    {"removed column", "removed check"},
    {"removed column", "backfill"},
    {"removed column", "unique index with a condition"},
    {"removed unique constraint", "unique constraint"},
    {"removed unique constraint", "unique index with a condition"},
    {"removed unique constraint", "backfill"},
)

# What stands around the components: in the clean run too, because it is nobody's business.
SURROUNDINGS = {
    "nothing": "",
    "an index that REINDEX left": "CREATE INDEX part_label_ccnew ON part (label)",
    "columns that were dropped": "ALTER TABLE part ADD COLUMN gone text, ADD COLUMN away text;"
    "ALTER TABLE part DROP COLUMN gone; ALTER TABLE part DROP COLUMN away",
    "a further column": "ALTER TABLE part ADD COLUMN extra integer DEFAULT 5 NOT NULL",
    "a view": "CREATE VIEW seen AS SELECT id, made_at FROM part",
    "a table that inherits": "CREATE TABLE child () INHERITS (part)",
    "a trigger": "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON part FOR EACH ROW EXECUTE FUNCTION touch()",
    "row level security": "ALTER TABLE part ENABLE ROW LEVEL SECURITY",
    "a foreign key to it": "CREATE TABLE leaning (part bigint REFERENCES part)",
}
SESSIONS = {
    "as it comes": "",
    "both schemas on the search_path": f"SET search_path TO {SCHEMA}, {OTHER_SCHEMA}",
    "other styles": "SET DateStyle TO 'German, DMY'; SET TimeZone TO 'Asia/Kathmandu'",
    "serializable": "SET default_transaction_isolation TO serializable",
}


@dataclass(frozen=True)
class Scenario:
    """Components in the order of the migrations, each with its condition, and what is around them.

    split: how many of them the first of two migrations declares.
    """

    components: tuple[tuple[str, str], ...]
    split: int
    surroundings: str
    namesakes: str
    session: str

    @property
    def cases(self) -> list[Case]:
        return [ALL[name] for name, _ in self.components]

    @property
    def other_definitions(self) -> list[tuple[Case, OtherDefinition]]:
        return [
            (each, other)
            for each, (_, condition) in zip(self.cases, self.components, strict=True)
            for other in each.other_definitions
            if condition == f"another: {other.what}"
        ]

    def base(self) -> list[str]:
        """The database without a component."""
        further = [
            each.start.removeprefix(PART_TABLE) for each in self.cases if each.start != PART_TABLE
        ]
        aside = f"SET search_path TO {OTHER_SCHEMA}; {PART_TABLE} SET search_path TO {SCHEMA}"
        around = ALL[self.namesakes].namesakes if self.namesakes in ALL else ""
        if self.namesakes == "the table in another schema":
            around = aside
        return [around, PART_TABLE, SURROUNDINGS[self.surroundings], *further]

    def migrations(self, *, atomic: bool) -> list[Migration]:
        made = [each.make() for each in self.cases]
        halves = [half for half in (made[: self.split], made[self.split :]) if half]
        migrations = [scratch_schema.migration(*half, atomic=atomic) for half in halves]
        for number, migration in enumerate(migrations, 1):
            migration.name = f"000{number}_bench"
        return migrations

    def state(self) -> ProjectState:
        return project_state(*merged([model for each in self.cases for model in each.models]))


def merged(given_models: list[ModelState]) -> list[ModelState]:
    """One model for each name, with the fields and options of all."""
    found: dict[str, ModelState] = {}
    for model in given_models:
        known = found.setdefault(model.name, model.clone())
        known.fields.update(model.fields)
        for option, setting in model.options.items():
            before = known.options.get(option)
            if isinstance(setting, list) and isinstance(before, list):
                known.options[option] = [*before, *(each for each in setting if each not in before)]
            else:
                known.options.setdefault(option, setting)
    return list(found.values())


@st.composite
def scenarios(draw: Any, *, stopped: bool = False) -> Scenario:
    """A database that the migration completes, or one in which at least one component is another one."""
    names = draw(st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=5, unique=True))
    chosen: list[str] = []
    for name in names:
        needed = [each for each in (DEPENDENT.get(name),) if each and each not in chosen]
        clashes = any({name, other} == clash for other in chosen for clash in CLASHES)
        if name not in chosen and not clashes:
            chosen += [*needed, name]
    possible = {name: ["absent", "there", *ALL[name].unfinished] for name in chosen}
    others = {
        name: [f"another: {each.what}" for each in ALL[name].other_definitions] for name in chosen
    }
    components = {name: draw(st.sampled_from(possible[name])) for name in chosen}
    with_others = [name for name in chosen if others[name]]
    if stopped and with_others:
        for name in draw(st.sets(st.sampled_from(with_others), min_size=1)):
            components[name] = draw(st.sampled_from(others[name]))
    around = ["nothing", "the table in another schema", *[n for n in chosen if ALL[n].namesakes]]
    return Scenario(
        tuple(components.items()),
        draw(st.integers(0, len(components) - 1)),
        draw(st.sampled_from(sorted(SURROUNDINGS))),
        draw(st.sampled_from(around)),
        draw(st.sampled_from(sorted(SESSIONS))),
    )


# A run: forwards or backwards, and after how many statements it dies, if it does.
runs = st.lists(
    st.tuples(st.booleans(), st.one_of(st.integers(0, 4), st.none())), min_size=1, max_size=4
)
