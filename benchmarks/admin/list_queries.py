"""The lists that are tried: each filter with a common, a rare and an absent value, and the last pages."""

from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification

OF_RECORD = (
    *("decision=insufficient", "decision=downgrade", "decision=hold", "decision=upgrade"),
    *("note=insufficient_evidence", "note=feature_stale", "overdue=1", "rules=1", "rules=2"),
    *("rules=3", "rules=4", "margin_from=-40&margin_to=0", "margin_from=85&margin_to=95"),
    *("margin_from=5&margin_to=15", "margin_from=200", "evidence_age=min-a day"),
    *("evidence_age=max-90 minutes", "time=evidence&to=2000-01-01", "time=evidence&from=-30d"),
    *("time=verdict&from=-1h", "time=verdict&from=-30d&to=-33d", "time=verdict&to=-34d"),
    *("order=margin", "order=-margin&last=1", "order=evidence", "order=next_check"),
    *("order=verdict&at=-20d", "decision=downgrade&last=1", "margin_from=5&order=verdict"),
)
ASKED = {
    Signal: (
        *("", "last=1", "order=-arrival", "at=-20d", "order=verdict", "order=confidence"),
        *("state=candidate", "state=downgraded", "state=verified", "state=downgraded&last=1"),
        *("goplus_risk=green", "goplus_risk=yellow", "goplus_risk=red", "goplus_risk=gray"),
        *(f"{name}={kind}" for name in ("market_type", "source_level")
          for kind in ("common", "old", "rare", "none")),
        *("confidence_from=0.4&confidence_to=0.6", "confidence_from=0.95", "confidence_from=2"),
        *("confidence_from=0.6&confidence_to=0.8", "from=-1h", "from=-30d&to=-29d", "dead=1"),
        *("to=2000-01-01", "state=verified&time=verdict&from=-1h", "decision=hold&order=arrival"),
        *("state=candidate&goplus_risk=green", "state=downgraded&goplus_risk=green"),
        *("state=candidate&goplus_risk=yellow&market_type=old&decision=insufficient", "rules=2&from=-34d"),
        *OF_RECORD,
    ),
    SignalVerification: ("", "last=1", "status=dead", "status=settled", "status=waiting", *OF_RECORD),
    Event: (
        *("", "last=1", "at=-20d", "type=common", "type=old", "type=rare", "type=none"),
        *("refine_ok=1", "refine_ok=0", "from=-1h", "to=2000-01-01", "type=old&refine_ok=1"),
        *("type=old&to=-34d", "type=common&to=-34d", "type=common&last=1"),
    ),
    SignalEvent: (
        *("", "last=1", "at=-20d", "decision=insufficient", "decision=downgrade"),
        *("decision=upgrade", "decision=hold", "note=insufficient_evidence", "note=feature_stale"),
        *("new_state=candidate", "new_state=downgraded", "new_state=verified", "from=-1h"),
        *("type=onchain_verify", "to=2000-01-01", "decision=downgrade&new_state=candidate"),
    ),
    OnchainFeature: (
        *("", "last=1", "at=-20d", "order=measured", "order=-measured&last=1", "from=-1h"),
        *("chain=ethereum", "chain=bsc", "chain=solana", "chain=none", "window=60", "window=30"),
        *("window=180", "chain=bsc&window=60", "to=2000-01-01", "chain=bsc&order=number"),
    ),
}  # fmt: skip
