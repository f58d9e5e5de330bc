"""The smallest Django project on the embedded server; DATA_DIR and NAME come from the environment."""

import os

SECRET_KEY = "for-tests"  # noqa: S105 - nothing is signed with it
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = __name__
urlpatterns: list[object] = []
INSTALLED_APPS = ["django.contrib.contenttypes"]
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "project.embedded",
        "NAME": os.environ.get("NAME", "signals"),
        "DATA_DIR": os.environ["DATA_DIR"],
    }
}
