"""Questions that are asked of the server; nothing here decides anything, and a missing object is None."""
