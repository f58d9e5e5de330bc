"""The throttle of logins, in a process whose settings turn it on."""

from collections.abc import Callable

from tests.admin.other_settings import run
from tests.postgres.databases import Database

ATTEMPTS = """
call_command("migrate", verbosity=0)
User.objects.create_superuser("chief", password="correct horse")
def login(user, password):
    data = {"username": user, "password": password}
    return client().post("/admin/login/?next=/admin/", data)
wrong = [login("chief", f"guess {number}").status_code for number in range(6)]
locked = login("chief", "correct horse")
other = login("nobody", "guess").status_code
call_command("axes_reset", verbosity=0, stdout=sys.stderr)
after = login("chief", "correct horse").status_code
answer([wrong, locked.status_code, locked.content.decode(), other, after])
"""


def test_an_account_is_locked_out_after_five_failed_logins(
    copy: Callable[[str], Database],
) -> None:
    wrong, locked, page, other, after = run(copy("clean 0013"), ATTEMPTS, LOGIN_THROTTLE="on")
    assert wrong == [200, 200, 200, 200, 429, 429]
    assert locked == 429
    assert "This account is locked out for 15 minutes." in page
    assert (other, after) == (200, 302)


def test_the_site_needs_no_throttle(copy: Callable[[str], Database]) -> None:
    assert run(copy("clean 0013"), "answer('axes' in sys.modules)") is False
