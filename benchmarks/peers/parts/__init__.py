"""An app of a project that uses the tool; its migration 0002 is what the case declares."""
