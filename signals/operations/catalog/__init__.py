"""Questions to the server, answered as frozen rows.

A missing object is None. The modules of this package do not decide what an answer means; the callers do.
"""
