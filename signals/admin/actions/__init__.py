"""Actions of the list of signals: what people do to many signals at once, and the export.

An action first freezes which signals it is about (choosing.py), so that the number that its page names is
the number that it changes, whatever the filter matches later. A person confirms it (forms.py), and the
page carries it out in batches (batches.py), each a transaction that takes its signals off the list. Whatever
ends a batch leaves whole batches done; the page continues with the rest. The page and the choice on the list
are in pages.py; a dry run (dry_run.py) and an export (export.py) change nothing.
"""
