"""manage.py check: Django's command, which reports the findings if the library's tag is named."""

from collections.abc import Sequence
from typing import Any

from django.core.management.commands import check

from ...drift.checks import TAG


class Command(check.Command):
    def check(
        self,
        app_configs: Any = None,
        tags: Sequence[str] | None = None,
        display_num_errors: bool = False,
        include_deployment_checks: bool = False,
        *args: Any,
        **options: Any,
    ) -> None:
        """Include the deployment checks if the tag is named, because the findings are one of them."""
        wanted = include_deployment_checks or TAG in (tags or ())
        super().check(app_configs, tags, display_num_errors, wanted, *args, **options)
