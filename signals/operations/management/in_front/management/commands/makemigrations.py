"""manage.py makemigrations in a project where an app in front of this one has that command too."""

from ....inheritance import derived_from_both

Command = derived_from_both("makemigrations")
