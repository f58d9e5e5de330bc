"""`python -m benchmarks.rollout.loops FOLDER old|new`: the code of a release, which works all the while.

The process reads a word per line and answers `report` with a line of JSON; at the end of its input it ends.
A thread for each change takes turns through what an application does with Django's ORM.
"""

import itertools
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rollout.changes import CHANGES, Change
from benchmarks.rollout.project import SETTINGS

PAUSE = 0.008  # seconds between two actions of a thread
BOXES = 9  # the first ones, which nobody deletes
KEPT = 20  # rows; more are deleted
SHOWN = 3  # errors of an action

Row = Any
Action = Callable[[], None]


@dataclass(slots=True)
class Told:
    """What the threads have done: the number of each action, and of its errors with the first texts."""

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """Return the report as one line."""
        return json.dumps({"done": self.done, "failed": self.failed, "texts": self.texts})


class Loop:
    """What one release does with one model.

    turns: the numbers of the writes of the release, odd ones of the old and even ones of the new.
    """

    def __init__(self, change: Change, release: str, model: Any, turns: Iterator[int]) -> None:
        self.model, self.release, self._turns = model, release, turns
        self.name = f"{change.label}.{model.__name__}"
        is_box = model.__name__ == "Box"
        self._values = () if is_box else change.values
        also = change.old_also if release == "old" and not is_box else {}
        self._also = {
            name: eval(f"lambda turn, a_box: {text}")  # noqa: S307 - a constant of changes.py
            for name, text in also.items()
        }
        self._boxes: Any = (
            model._meta.apps.get_model(change.label, "Box") if change.with_boxes else None
        )

    def actions(self) -> dict[str, Action]:
        """Return what the release does, by name."""
        return {
            f"{self.name} {each.__name__.strip('_')}": each
            for each in (
                self._insert,
                self._insert_many,
                self._select,
                self._filter,
                self._update,
                self._save,
                self._upsert,
                self._delete,
            )
        }

    def _insert(self) -> None:
        turn = next(self._turns)
        self.model.objects.create(key=turn, **self._written(turn))

    def _insert_many(self) -> None:
        turns = [next(self._turns) for _ in range(2)]
        self.model.objects.bulk_create(
            [self.model(key=turn, **self._written(turn)) for turn in turns]
        )

    def _select(self) -> None:
        for row in self.model.objects.order_by("?")[:10]:
            self._check(row)

    def _filter(self) -> None:
        """Find a row again by the values that it has."""
        row = self._any()
        if row is not None:
            names = [self._own(each) for each in self._values if self._own(each)]
            found = {name: getattr(row, name) for name in names if getattr(row, name) is not None}
            list(self.model.objects.filter(**found).only("key", *found)[:3])

    def _update(self) -> None:
        row = self._any()
        if row is not None:
            self.model.objects.filter(pk=row.pk).update(**self._written(next(self._turns)))

    def _save(self) -> None:
        from django.db import transaction

        row = self._any()
        with transaction.atomic():
            locked = (
                row and self.model.objects.select_for_update(of=("self",)).filter(pk=row.pk).first()
            )
            if locked:
                for name, value in self._written(next(self._turns)).items():
                    setattr(locked, name, value)
                locked.save()

    def _upsert(self) -> None:
        """Write one of a few rows, which both releases write."""
        turn = next(self._turns)
        row = self.model(key=-1 - turn % 7, **self._written(turn))
        self.model.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=list(self._written(turn)),
        )

    def _delete(self) -> None:
        rows = self.model.objects.filter(key__gt=0).order_by("key")
        if rows.count() > KEPT:
            rows.first().delete()

    def _any(self) -> Row:
        return self.model.objects.order_by("?").first()

    def _written(self, turn: int) -> dict[str, Any]:
        books = {"turn": turn, f"{self.release}_turn": turn}
        values = {
            name: _evaluated(self._by(self.release, each), turn=turn)
            for each in self._values
            if (name := self._own(each))
        }
        return books | values | {name: make(turn, self._a_box) for name, make in self._also.items()}

    def _check(self, row: Row) -> None:
        for each in self._values:
            name = self._own(each)
            if not name:
                continue
            own = getattr(row, f"{self.release}_turn")
            if each.old and each.new:
                writer = "old" if row.turn % 2 else "new"
                wanted = _evaluated(self._by(writer, each), turn=row.turn)
            elif own is not None:
                wanted = _evaluated(self._by(self.release, each), turn=own)
            else:
                wanted = _evaluated(each.otherwise, row=row)
            if getattr(row, name) != wanted:
                raise ValueError(f"reads {name}={getattr(row, name)!r} instead of {wanted!r}")

    def _own(self, value: Any) -> str:
        return str(value.old if self.release == "old" else value.new)

    def _by(self, release: str, value: Any) -> str:
        return str(value.by_old if release == "old" else value.by_new)

    def _a_box(self) -> int:
        found = self._boxes.objects.order_by("?").values_list("pk", flat=True).first()
        return int(found)


def main() -> int:
    folder, release = sys.argv[1:]
    sys.path.insert(0, folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    import django
    from django.apps import apps

    django.setup()
    changes = [each for each in CHANGES if apps.is_installed(each.label)]
    turns = itertools.count(1 if release == "old" else 2, 2)
    loops = {
        each.label: [
            Loop(each, release, apps.get_model(each.label, name), turns)
            for name in each.models(release)
        ]
        for each in changes
    }
    if release == "old":
        _fill(loops)
    told, done = Told(), threading.Event()
    threads = [threading.Thread(target=_go, args=(each, told, done)) for each in loops.values()]
    for thread in threads:
        thread.start()
    for _ in sys.stdin:
        sys.stdout.write(told.as_json() + "\n")
        sys.stdout.flush()
    done.set()
    for thread in threads:
        thread.join()
    return 0


def _fill(loops: dict[str, list[Loop]]) -> None:
    """Insert the first rows."""
    for each in itertools.chain(*loops.values()):
        if each.model.__name__ == "Box":
            each.model.objects.bulk_create(
                each.model(key=-100 - number, turn=-number) for number in range(1, BOXES + 1)
            )
        for _ in range(10):
            each._insert()


def _go(loops: list[Loop], told: Told, done: threading.Event) -> None:
    from django.db import connections

    actions = {name: act for loop in loops for name, act in loop.actions().items()}
    try:
        for name in itertools.cycle(actions):
            if done.wait(PAUSE):
                return
            try:
                actions[name]()
            except Exception as error:  # noqa: BLE001 - whatever the code of a release runs into
                told.failed[name] += 1
                if told.failed[name] <= SHOWN:
                    told.texts.append(f"{name}: {type(error).__name__}: {error}".strip())
            told.done[name] += 1
    finally:
        connections.close_all()


def _evaluated(text: str, **names: Any) -> Any:
    return eval(text, {}, names)  # noqa: S307 - a constant of changes.py


if __name__ == "__main__":
    sys.exit(main())
