"""An index on Django's log of the admin, by which the history of one row is found among millions.

It is an app of its own, because its migration needs that of Django's admin, which the tables of signals do
not.
"""
