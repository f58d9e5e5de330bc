"""manage.py check: Django's command, which reports the findings if the library's tag is named."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...shadow.checks import TAG
from ..inheritance import next_command

if TYPE_CHECKING:
    from django.core.management.commands.check import Command as NextCommand
else:
    NextCommand = next_command("check")


class Command(NextCommand):
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
