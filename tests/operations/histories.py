"""Run a history of Django's operations stock and converted, and assert that both leave the same database.

A history is a list of operations, each of which is a migration, or of several that are one. Django's
operations migrate one database, those that `convert` puts in their place migrate another one. At each step
both hold the same objects and rows, nothing is sent a second time, and verify_schema finds nothing. The copy
that pg_dump makes is judged right too. Then both go back to nothing, and the converted history comes again in
one run that looks ahead.
"""

import copy
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import DatabaseError, transaction
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from benchmarks.django_suite import shapes
from signals import operations
from signals.operations.conversion import convert, flat, is_same_state
from signals.operations.conversion.atomicity import TransactionNeed
from signals.operations.migrate import preflight
from signals.operations.migrate.preview import preview
from tests.operations.dump_and_restore import Judged, migrations_of, restore
from tests.operations.row_values import row_of
from tests.operations.scratch_schema import APP
from tests.postgres.catalog_facts import catalog_versions

EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"

# What Django raises for a step that the rows, PostgreSQL or the state of the models do not allow.
REFUSALS = (DatabaseError, ValueError, LookupError, FieldDoesNotExist, FieldError)

ROWS_OF_A_NEW_TABLE = 3

# The operations of one migration.
Step = Operation | tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class BothWays:
    """Three databases: for Django's operations, for the converted ones, and for the copy of those."""

    stock: Judged
    converted: Judged
    copied: Judged

    def hold(self, *history: Step, is_drawn: bool = False) -> list[Step]:
        """Assert that the history leaves the same both ways, restored, back and again; return its steps.

        is_drawn: leave out the steps that Django refuses, instead of failing.
        """
        for each in (self.stock, self.converted, self.copied):
            each.run(EMPTY)
        taken: list[Step] = []
        contents: list[Counter[str]] = [Counter()]
        for step in history:
            place, steps = len(taken), [*taken, step]
            try:
                self._stock(steps).migrate(start=place)
            except REFUSALS:
                # Where Django fails in what it defers, its connection stays in the transaction.
                self.stock.database.close()
                if not is_drawn:
                    raise
                continue
            taken = steps
            with _told_of(place, step):
                contents.append(self._forwards(taken))
        self._restored(taken)
        self._backwards(taken, contents)
        self._again(taken, contents[-1])
        return taken

    def _forwards(self, history: Sequence[Step]) -> Counter[str]:
        """Take the last step, assert that both databases are the same, and return what they hold."""
        place = len(history) - 1
        stock, converted = self._stock(history), self._converted(history)
        assert is_same_state(_state(stock), _state(converted)), "leaves another state"
        self._take(converted, place)
        _assert_sends_nothing(converted, place)
        self._insert(_state(stock), place)
        wanted, found = _content(stock), _content(converted)
        rows = [_rows(each) for each in (stock, converted)]
        _assert_none(
            [
                *_differences(wanted, found),
                *(f"has {row} in {name}" for name, row in rows[1] - rows[0]),
                *(f"lacks {row} in {name}" for name, row in rows[0] - rows[1]),
                *(f"Django's: {line}" for line in unclean(self._stock(history))),
                *unclean(self._converted(history)),
            ]
        )
        return found

    def _take(self, converted: Judged, place: int) -> None:
        """Migrate one step; without rows, if a cast would lose some of their values, as Django's does."""
        try:
            converted.migrate(start=place)
        except operations.RowsViolate as error:
            if "do not survive" not in str(error):
                raise
            for each in (self.stock, self.converted):
                _truncate(each)
            converted.migrate(start=place)

    def _backwards(self, history: Sequence[Step], contents: Sequence[Counter[str]]) -> None:
        """Go back to nothing, without rows, for which the way back leaves a table or a type as it is.

        At each step the database is as on the way there, or as Django's way back leaves it; or its conditions
        are only spelled otherwise, as after a change of a column's type, and Django's has lost something.
        """
        for each in (self.stock, self.converted):
            _truncate(each)
        for place in reversed(range(len(history))):
            past = history[: place + 1]
            with _told_of(place, history[place], "back"):
                try:
                    self._stock(past).migrate(back=True, start=place)
                except REFUSALS:  # there is no way back
                    self.stock.database.close()
                    self.converted.run(EMPTY)
                    return
                self._converted(past).migrate(back=True, start=place)
                found = _content(self.converted)
                if _without_conditions(found) != _without_conditions(contents[place]):
                    _assert_none(list(_differences(_content(self.stock), found)))
                else:
                    _assert_none(unclean(self._converted(history[:place])))

    def _again(self, history: Sequence[Step], content: Counter[str]) -> None:
        """Migrate the converted history in one run, as `migrate` does, and ask before what it would do."""
        converted = self._converted(history)
        alias, plan = converted.database.alias, [(each, False) for each in converted.migrations]
        with _told_of(0, "the whole history", "again"):
            steps = [part for each in preview(converted.connection, plan) for part in each.parts]
            _assert_none([each.stops for each in steps if each.stops])
            preflight.remember(using=alias, plan=plan, verbosity=0)
            try:
                converted.migrate()
            finally:
                preflight.forget(using=alias)
            _assert_none([*_differences(content, _content(converted)), *unclean(converted)])

    def _restored(self, history: Sequence[Step]) -> None:
        with _told_of(0, "the whole history", "restored"):
            restore(self.converted, self.copied)
            for each in (self._stock(history), self._converted(history)):
                _assert_none(unclean(replace(each, database=self.copied.database)))

    def _insert(self, state: ProjectState, number: int) -> None:
        """Insert the same rows into both: some into an empty table, and one into each other table."""
        for judged in (self.stock, self.converted):
            alias = judged.database.alias
            for model in state.apps.get_models(include_auto_created=True):
                known = model._default_manager.using(alias).count()
                for count in range(known, known + (1 if known else ROWS_OF_A_NEW_TABLE)):
                    values = row_of(model, alias, count, number)
                    # A row that the constraints refuse is refused by both.
                    with suppress(DatabaseError), transaction.atomic(alias):
                        if values is not None:
                            model._default_manager.using(alias).create(**values)

    def _stock(self, history: Sequence[Step]) -> Judged:
        return Judged(self.stock.database, _loaded(history))

    def _converted(self, history: Sequence[Step]) -> Judged:
        made, state = _loaded(history), ProjectState()
        for migration in made:
            originals, before = migration.operations, state.clone()
            changes = convert(originals, APP, before, self.converted.connection)
            migration.operations = [_insisting(each) for each in flat(changes)]
            migration.atomic = TransactionNeed.AUTOCOMMIT not in {each.need for each in changes}
            state = copy.deepcopy(migration).mutate_state(state)
        return Judged(self.converted.database, made)


def unclean(judged: Judged) -> list[str]:
    """Return what verify_schema finds, and what it cannot judge, a line each."""
    return [
        f"{each.component} {each.name} of {each.table}: {each.status.name}, found {each.found!r}, "
        f"wanted {each.wanted!r}{', ' + each.note if each.note else ''}"
        for row in judged.rows()
        if not (each := row.finding).status.is_right
    ]


@contextmanager
def _told_of(place: int, what: object, way: str = "forwards") -> Iterator[None]:
    """Add to an error the step at which it came."""
    try:
        yield
    except Exception as error:
        parts = what if isinstance(what, tuple) else [what]
        described = ", ".join(
            each.describe() if isinstance(each, Operation) else str(each) for each in parts
        )
        error.add_note(f"{way}, migration {place + 1}: {described}")
        raise


def _loaded(history: Sequence[Step]) -> list[Migration]:
    """Return the migrations as a process has them that has just loaded their files."""
    steps = [each if isinstance(each, tuple) else (each,) for each in copy.deepcopy(list(history))]
    made = migrations_of(*(first for first, *_ in steps))
    for migration, step in zip(made, steps, strict=True):
        migration.operations = list(step)
    return made


def _insisting(operation: Operation) -> Operation:
    """Return the operation as one writes it who accepts that a table is rewritten or locked, as by Django."""
    for argument in ("allow_rewrite", "allow_blocking_build"):
        if hasattr(operation, argument):
            setattr(operation, argument, True)
    return operation


def _state(judged: Judged) -> ProjectState:
    state = ProjectState()
    for migration in copy.deepcopy(judged.migrations):
        state = migration.mutate_state(state)
    return state


def _assert_sends_nothing(judged: Judged, start: int) -> None:
    """Run the last migration again, if it is convergent, and assert that it changes nothing."""
    if all(isinstance(each, operations.Convergent) for each in judged.migrations[-1].operations):
        before = catalog_versions(judged.database)
        judged.migrate(start=start)
        written = catalog_versions(judged.database) - before
        assert not written, f"the second run changed {written}"


def _content(judged: Judged) -> Counter[str]:
    return shapes.describe(judged.connection, "public")


def _differences(wanted: Counter[str], found: Counter[str]) -> Iterator[str]:
    yield from (f"lacks {text}" for text in wanted - found)
    yield from (f"has too {text}" for text in found - wanted)


def _without_conditions(content: Counter[str]) -> Counter[str]:
    """Return the content without what verify_schema judges, because PostgreSQL may spell it otherwise."""
    texts = (re.sub(r" (WHERE|CHECK) .*", r" \1", text) for text in content.elements())
    return Counter(texts)


def _truncate(judged: Judged) -> None:
    tables = ", ".join(_tables(judged))
    if tables:
        judged.run(f"TRUNCATE {tables}")


def _tables(judged: Judged) -> list[str]:
    with judged.connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def _rows(judged: Judged) -> Counter[tuple[str, str]]:
    """Return the rows, each with the name of its table."""
    found: Counter[tuple[str, str]] = Counter()
    with judged.connection.cursor() as cursor:
        for table in _tables(judged):
            cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t")
            found.update((table, text) for (text,) in cursor.fetchall())
    return found


def _assert_none(lines: Sequence[str]) -> None:
    assert not lines, "\n".join(lines)
