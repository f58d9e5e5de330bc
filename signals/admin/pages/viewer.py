"""Who looks at a page, and the links to what that person may view."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import quote
from django.contrib.auth import get_permission_codename
from django.db import models
from django.urls import NoReverseMatch, reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString


@dataclass(frozen=True, slots=True)
class Viewer:
    """The account that looks at a page."""

    user: Any

    def may_view(self, model: type[models.Model]) -> bool:
        """Return whether the account may see rows of the model; whoever may change them may."""
        options = model._meta
        return any(
            self.user.has_perm(f"{options.app_label}.{get_permission_codename(action, options)}")
            for action in ("view", "change")
        )

    def url(self, model: type[models.Model], pk: Any) -> str:
        """Return the address of the row's page; nothing if there is none or the account may not view it."""
        if pk is None or not self.has_pages(model):
            return ""
        return reverse(_name_of_page(model), args=[quote(pk)])

    def has_pages(self, model: type[models.Model]) -> bool:
        """Return whether the model has pages, and the account may view them."""
        try:
            reverse(_name_of_page(model), args=["0"])
        except NoReverseMatch:
            return False
        return self.may_view(model)

    def link(self, model: type[models.Model], pk: Any, text: Any) -> SafeString:
        """Return the text as a link to the row's page, or the text alone."""
        return linked(self.url(model, pk), text)


def linked(url: str, text: Any) -> SafeString:
    """Return the text as a link; without an address, the text alone."""
    if not url:
        return conditional_escape(text)
    return format_html('<a href="{}">{}</a>', url, text)


def _name_of_page(model: type[models.Model]) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
