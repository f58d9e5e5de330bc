"""Settings of both runs: the server of project.settings, and databases of each run's own."""

import os
from typing import Any

from project.settings import BASE_DIR
from project.settings import DATABASES as PROJECT

RUN = os.environ.get("DJANGO_SUITE_RUN", "unpatched")

_EMBEDDED = PROJECT["default"]["ENGINE"] == "project.embedded"
_SERVER: dict[str, Any] = {
    **PROJECT["default"],
    **({"DATA_DIR": BASE_DIR / ".postgres"} if _EMBEDDED else {}),
}
DATABASES = {
    alias: {
        **_SERVER,
        "NAME": "postgres",
        "TEST": {"NAME": f"test_django_suite_{RUN}_{alias}"},
    }
    for alias in ("default", "other")
}
SECRET_KEY = "django-suite"  # noqa: S105 - of a test run
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "benchmarks.django_suite.runner.RecordingRunner"
