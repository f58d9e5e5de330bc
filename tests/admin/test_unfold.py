"""The admin under django-unfold, whose templates and site take the place of Django's."""

from collections.abc import Callable

from tests.admin.other_settings import run
from tests.postgres.databases import Database

VISIT = """
from django.contrib.admin.utils import quote
from django.contrib import admin
from django.db import connection
from tests.admin.sample_rows import make_feature, make_signal, make_verdict, make_verification
call_command("migrate", verbosity=0)
User.objects.create_superuser("chief", password="correct horse")
visitor = client()
visitor.force_login(User.objects.get())
signal = make_signal(state="verified")
rows = [signal, signal.event, make_verdict(signal), make_verification(signal), make_feature()]
addresses = ["/admin/", "/admin/convergent_migrations/schema/"]
for row in rows:
    page = f"/admin/signals/{row._meta.model_name}/"
    addresses += [page, f"{page}?q=nothing", f"{page}{quote(row.pk)}/change/"]
addresses += ["/admin/signals/verificationrun/", "/admin/signals/verificationrules/"]
addresses += [f"/admin/signals/signal/{signal.pk}/history/"]
codes = {each: visitor.get(each).status_code for each in addresses}
shown = visitor.get("/admin/signals/signal/?state=verified").content.decode()
action = {"action": "override", "_selected_action": [signal.pk], "index": 0}
confirm = visitor.post("/admin/signals/signal/", action, follow=True)
answer([
    type(admin.site).__module__, codes, f"/admin/signals/signal/{signal.pk}/change/" in shown,
    "front-job" in visitor.get("/admin/").content.decode(), confirm.status_code,
    confirm.redirect_chain != [],
])
"""


def test_every_page_is_there_under_unfold(copy: Callable[[str], Database]) -> None:
    apps = ("unfold", "unfold.contrib.filters")
    site, codes, has_row, has_figures, confirmed, is_led_on = run(copy("clean 0013"), VISIT, apps)
    assert site == "unfold.sites"
    assert {address: code for address, code in codes.items() if code != 200} == {}
    assert has_row
    assert has_figures
    assert (confirmed, is_led_on) == (200, True)
