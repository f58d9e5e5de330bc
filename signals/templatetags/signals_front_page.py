"""The tag that puts the figures of the job on the front page of the admin."""

from typing import Any

from django import template

from signals.admin.front_page.context import front_page

register = template.Library()


@register.inclusion_tag("admin/signals/front_page.html", takes_context=True, name="front_page")
def show(context: Any) -> dict[str, Any]:
    """Show the figures that the person may view."""
    return front_page(context["request"].user)
