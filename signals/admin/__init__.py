"""The admin's pages for analysts, one module a page.

The pages show what the pipelines and the job wrote; few fields can be changed. They stay quick on tables
with millions of rows:

* Lists have the orders of indexes, filters that an index serves, and pages that begin behind a row (lists/,
  filters.py).
* Searches use indexes that give the newest rows first (searches.py).
* A statement ends after a few seconds, and the page says so (timeouts.py).

Texts come from posts, so every column escapes them (columns.py, cells.py).
"""

from django.contrib import admin

from signals.admin.chain_cursor import ChainCursorAdmin, ChainStateAdmin
from signals.admin.event import EventAdmin
from signals.admin.onchain_feature import OnchainFeatureAdmin
from signals.admin.signal import SignalAdmin
from signals.admin.signal_event import SignalEventAdmin
from signals.admin.signal_verification import SignalVerificationAdmin
from signals.admin.verification_rules import VerificationRulesAdmin
from signals.admin.verification_run import VerificationRunAdmin

__all__ = [
    "ChainCursorAdmin",
    "ChainStateAdmin",
    "EventAdmin",
    "OnchainFeatureAdmin",
    "SignalAdmin",
    "SignalEventAdmin",
    "SignalVerificationAdmin",
    "VerificationRulesAdmin",
    "VerificationRunAdmin",
]

admin.site.index_template = "admin/signals/index.html"
admin.site.index_title = "Overview"
