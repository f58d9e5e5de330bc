"""The index on Django's log of the admin."""

import pytest
from django.core.management import call_command
from django.db import connection

pytestmark = pytest.mark.django_db(transaction=True)

INDEX = "ON public.django_admin_log USING btree (content_type_id, object_id, id DESC)"


def definitions() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'django_admin_log'")
        return "\n".join(definition for (definition,) in cursor.fetchall())


def test_the_index_goes_and_comes_and_the_schema_is_as_declared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert INDEX in definitions()
    call_command("migrate", "signals_admin_log", "zero", verbosity=0)
    assert INDEX not in definitions()
    call_command("migrate", "signals_admin_log", verbosity=0)
    assert INDEX in definitions()
    capsys.readouterr()
    call_command("verify_schema")
    assert "missing" not in capsys.readouterr().out


def test_the_model_of_the_log_has_no_changes_for_makemigrations() -> None:
    call_command("makemigrations", "--check", verbosity=0)
