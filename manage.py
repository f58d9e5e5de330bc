#!/usr/bin/env python3
import os
import sys

CONFIGURATION = 3


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from project.streams import open_closed_streams

    open_closed_streams()
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CONFIGURATION)


if __name__ == "__main__":
    main()
