"""What the old and the new release declare, and the operations that lead from the one to the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# As makemigrations writes it.
KEY = (
    "id",
    'models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")',
)


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a row, as each release knows it.

    old, new: the name of its field in the release; empty if it has none.
    by_old, by_new: what the release writes, an expression of `turn`, a number that no other write has.
    otherwise: what a release reads in a row that it has never written, if the other one lacks the field: an
        expression of `row`.
    """

    old: str = ""
    new: str = ""
    by_old: str = "turn"
    by_new: str = "turn"
    otherwise: str = "None"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the model Item of an application of its own.

    label: that of the application.
    name: what changes, for people.
    old, new: the source of the fields of Item in each release, by name; None if the release lacks the model.
    values: the values that both releases write and check.
    ours, stock: the source of the operations, those of the library and Django's.
    old_model, new_model: the name of the model in each release.
    old_meta, new_meta: the source of its Meta in each release.
    old_also: the source of further fields that the old release writes and nobody checks, by name.
    with_boxes: whether there is a model Box too, the same in both releases.
    """

    label: str
    name: str
    old: Mapping[str, str] | None
    new: Mapping[str, str] | None
    values: tuple[Value, ...]
    ours: tuple[str, ...]
    stock: tuple[str, ...]
    old_model: str = "Item"
    new_model: str = "Item"
    old_meta: str = ""
    new_meta: str = ""
    old_also: Mapping[str, str] = field(default_factory=dict)
    with_boxes: bool = False

    def models(self, release: str) -> dict[str, Mapping[str, str]]:
        """Return the fields of each model of the release, old or new."""
        name, fields = (
            (self.old_model, self.old) if release == "old" else (self.new_model, self.new)
        )
        own = {} if fields is None else {name: {**BOOKS, **fields}}
        return {**({"Box": BOOKS} if self.with_boxes else {}), **own}


# What every model has: a key, the number of the last write, and those of the last writes by each release.
BOOKS = {
    "key": "models.BigIntegerField(unique=True)",
    "turn": "models.BigIntegerField()",
    "old_turn": "models.BigIntegerField(null=True)",
    "new_turn": "models.BigIntegerField(null=True)",
}
SIZE = {"size": "models.IntegerField()"}
SAME_SIZE = (Value("size", "size"),)
POSITIVE = 'models.CheckConstraint(condition=models.Q(size__gt=0), name="{}_positive")'
ONE_SIZE = 'models.UniqueConstraint(fields=["size"], name="{}_size")'
BY_SIZE = 'models.Index(fields=["size"], name="{}_size")'
LOOSE = 'models.ForeignKey("{}.Box", models.CASCADE, db_constraint=False)'
TIGHT = 'models.ForeignKey("{}.Box", models.CASCADE)'
NULLABLE = "models.BigIntegerField(null=True)"
A_BOX = "turn % 9 + 1"  # of the first boxes, which nobody deletes


def _altered(kind: str, source: str) -> tuple[str, ...]:
    return (f'operations.{kind}("item", "size", {source})',)


def _constrained(label: str, name: str, kind: str, source: str) -> Change:
    """Return a change that adds a constraint which the old release keeps already."""
    declared = source.format(label)
    return Change(
        label,
        name,
        SIZE,
        SIZE,
        SAME_SIZE,
        (f'operations.{kind}("item", {declared})',),
        (f'migrations.AddConstraint("item", {declared})',),
        new_meta=f"constraints = [{declared}]",
    )


def _retyped(label: str, name: str, source: tuple[str, str], value: Value, further: str) -> Change:
    old, new = source
    return Change(
        label,
        name,
        {"size": old},
        {"size": new},
        (value,),
        _altered("AlterColumnTypeIfDifferent", f"{new}{further}"),
        (f'migrations.AlterField("item", "size", {new})',),
    )


def _added(label: str, name: str, source: str, otherwise: str) -> Change:
    return Change(
        label,
        name,
        {},
        {"size": source},
        (Value(new="size", otherwise=otherwise),),
        (f'operations.AddColumnIfMissing("item", "size", {source})',),
        (f'migrations.AddField("item", "size", {source})',),
    )


def _removed(label: str, name: str, source: str, otherwise: str) -> Change:
    return Change(
        label,
        name,
        {"size": source},
        {},
        (Value(old="size", otherwise=otherwise),),
        ('operations.RemoveColumnIfPresent("item", "size")',),
        ('migrations.RemoveField("item", "size")',),
    )


def _table(kind: str, fields: Mapping[str, str]) -> str:
    shown = ", ".join(f'("{name}", {source})' for name, source in {**dict([KEY]), **fields}.items())
    return f'{kind}("Item", [{shown}])'


ADDED = {**BOOKS, **SIZE, "box": TIGHT.format("add_table")}

CHANGES = (
    _added("add_column", "add a column that may be NULL", "models.IntegerField(null=True)", "None"),
    _added(
        "add_with_default",
        "add a NOT NULL column with db_default",
        "models.IntegerField(db_default=7)",
        "7",
    ),
    _removed("remove_column", "remove a NOT NULL column", "models.IntegerField(default=7)", "7"),
    _removed(
        "remove_callable",
        "remove a NOT NULL column with a callable default",
        "models.BigIntegerField(default=time.time_ns)",
        "row.size",
    ),
    _retyped(
        "widen_integer",
        "integer to bigint",
        ("models.IntegerField()", "models.BigIntegerField()"),
        Value("size", "size", by_new="turn + 2**40"),
        ", allow_rewrite=True",
    ),
    _retyped(
        "widen_text",
        "a longer varchar",
        ("models.CharField(max_length=9)", "models.CharField(max_length=40)"),
        Value("size", "size", "f'{turn:9}'", "f'{turn:40}'"),
        "",
    ),
    Change(
        "set_not_null",
        "set NOT NULL",
        {"size": "models.IntegerField(null=True)"},
        SIZE,
        SAME_SIZE,
        _altered("SetNotNullIfNullable", SIZE["size"]),
        (f'migrations.AlterField("item", "size", {SIZE["size"]})',),
    ),
    _constrained("add_check", "add a check", "AddCheckIfMissing", POSITIVE),
    _constrained("add_unique", "add a uniqueness", "AddUniqueIfMissing", ONE_SIZE),
    Change(
        "add_index",
        "add an index",
        SIZE,
        SIZE,
        SAME_SIZE,
        (f'operations.CreateIndexConcurrentlyIfMissing("item", {BY_SIZE.format("add_index")})',),
        (f'migrations.AddIndex("item", {BY_SIZE.format("add_index")})',),
        new_meta=f"indexes = [{BY_SIZE.format('add_index')}]",
    ),
    Change(
        "add_foreign_key",
        "add a foreign key",
        {"box": LOOSE.format("add_foreign_key")},
        {"box": TIGHT.format("add_foreign_key")},
        (Value("box_id", "box_id", A_BOX, A_BOX),),
        (f'operations.AddForeignKeyIfMissing("item", "box", {TIGHT.format("add_foreign_key")})',),
        (f'migrations.AlterField("item", "box", {TIGHT.format("add_foreign_key")})',),
        with_boxes=True,
    ),
    Change(
        "add_table",
        "add a table",
        None,
        {**SIZE, "box": TIGHT.format("add_table")},
        (Value(new="size"), Value(new="box_id", by_new=A_BOX)),
        (_table("operations.CreateTableIfMissing", ADDED),),
        (_table("migrations.CreateModel", ADDED),),
        with_boxes=True,
    ),
    Change(
        "remove_table",
        "remove a table",
        {**SIZE, "box": TIGHT.format("remove_table")},
        None,
        (Value(old="size"),),
        ('operations.RemoveTableIfPresent("item", allow_data_loss=True)',),
        ('migrations.DeleteModel("item")',),
        old_also={"box_id": "a_box()"},
        with_boxes=True,
    ),
    _added(
        "add_not_null",
        "add a NOT NULL column with a default of the field",
        "models.IntegerField(default=7)",
        "7",
    ),
    Change(
        "add_filled",
        "add a NOT NULL column whose value depends on the row",
        {},
        {"size": "models.BigIntegerField()"},
        (Value(new="size", otherwise="row.key * 2"),),
        (
            f'operations.AddColumnIfMissing("item", "size", {NULLABLE}, altered_later=True)',
            'operations.BackfillInBatches("item", "size", models.F("key") * 2)',
            'operations.SetNotNullIfNullable("item", "size", models.BigIntegerField())',
        ),
        ('migrations.AddField("item", "size", models.BigIntegerField(default=0), False)',),
    ),
    Change(
        "rename_column",
        "rename a column",
        SIZE,
        {"amount": SIZE["size"]},
        (Value("size", "amount"),),
        ('operations.RenameColumnIfNeeded("item", "size", "amount")',),
        ('migrations.RenameField("item", "size", "amount")',),
    ),
    Change(
        "rename_table",
        "rename a table",
        SIZE,
        SIZE,
        SAME_SIZE,
        ('operations.RenameTableIfNeeded("Item", "Thing")',),
        ('migrations.RenameModel("Item", "Thing")',),
        new_model="Thing",
    ),
)
