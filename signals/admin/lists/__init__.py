"""The lists of the admin: rows in an order that an index has, page by page to the end of a large table.

* orders.py: the orders of a list, what a filter asks for, and a place in an order.
* reading.py: the rows of a page, of which a bounded number is read whatever the filters are.
* counts.py: how many rows there are, exactly if they are few.
* changelist.py: Django's list with these pages.
* moments.py: times as a person writes them.
* views.py, saved.py: links to filtered lists, given ones and a person's own.
"""
