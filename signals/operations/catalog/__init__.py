"""Questions to the server, answered as frozen rows.

A missing object is None. The caller decides what an answer means; nothing here does.
"""
