"""Fields for types that only the database has, and the values of its enum type."""

from typing import Any

from django.db import models


def now() -> models.Func:
    """Return the SQL function now(), the start of the transaction, as the legacy DDL calls it.

    Django's Now() is STATEMENT_TIMESTAMP(), which is another default.
    """
    return models.Func(function="now", output_field=models.DateTimeField())


class GoplusRisk(models.TextChoices):
    """The values of the database's enum type goplus_risk_enum, in its order."""

    RED = "red"
    YELLOW = "yellow"
    GREEN = "green"
    UNKNOWN = "unknown"
    GRAY = "gray"


class EnumField(models.TextField):  # type: ignore[type-arg] # not subscriptable at run time
    """A column of a PostgreSQL enum type that a migration creates with CreateEnumIfMissing.

    `enum_name` is the type's name, looked up on the connection's search_path.
    """

    def __init__(self, *args: Any, enum_name: str, **kwargs: Any) -> None:
        self.enum_name = enum_name
        super().__init__(*args, **kwargs)

    def db_type(self, connection: Any) -> str:
        return str(connection.ops.quote_name(self.enum_name))

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "enum_name": self.enum_name}


class NumericField(models.DecimalField):  # type: ignore[type-arg] # not subscriptable at run time
    """A numeric column without precision and scale.

    Before Django 6.1 a DecimalField requires both, so check() skips that requirement.
    """

    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - the same on every connection
        return "numeric"

    def check(self, **kwargs: Any) -> Any:
        return super(models.DecimalField, self).check(**kwargs)
