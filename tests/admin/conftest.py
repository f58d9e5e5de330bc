"""Staff of several kinds."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

Staff = Callable[..., Client]


@pytest.fixture
def staff(db: None) -> Staff:
    """A client of a user with the named permissions of the application; `"*"` is a superuser."""

    def login(*permissions: str) -> Client:
        user = User.objects.create_user("analyst", is_staff=True, is_superuser="*" in permissions)
        wanted = Permission.objects.filter(
            codename__in=permissions, content_type__app_label="signals"
        )
        user.user_permissions.set(wanted)
        client = Client()
        client.force_login(user)
        return client

    return login


@pytest.fixture
def viewer(staff: Staff) -> Client:
    """Somebody who may see everything and change nothing."""
    return staff(
        *("view_signal", "view_event", "view_onchainfeature", "view_signalevent"),
        "view_signalverification",
    )


@pytest.fixture
def superuser(staff: Staff) -> Client:
    return staff("*")
