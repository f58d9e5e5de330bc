"""What the tests expect of a run."""

from datetime import timedelta

TTL = timedelta(seconds=900)
"""The default of ONCHAIN_VERDICT_TTL_SEC."""
LEASE = timedelta(seconds=300)
"""The default of ONCHAIN_LEASE_SEC."""
STALE_AFTER = timedelta(minutes=90, microseconds=1)
"""The age at which evidence is stale."""
NO_EVIDENCE = ("candidate", None, None)
"""What stored() returns for a signal that no evidence was written to."""


def counts(**changed: int) -> dict[str, int]:
    """Return the counts of a run; those not given are 0."""
    names = "scanned evaluated updated skipped errors verified downgraded held insufficient"
    return {**dict.fromkeys(names.split(), 0), **changed}
