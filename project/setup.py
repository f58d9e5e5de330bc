"""Set Django up when imported, for a line of Python outside of manage.py."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()
