"""Projects of real applications, on the database of DRIFTS_DATABASE; a tool's own app stands first."""

import os

from psycopg.conninfo import conninfo_to_dict

SECRET_KEY = "for one run"  # noqa: S105 - nobody logs in
USE_TZ = True
SITE_ID = 1
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "benchmarks.drifts.settings"
STATIC_URL = "/static/"
urlpatterns: list[object] = []

CONTRIB = [
    *("admin", "auth", "contenttypes", "flatpages", "messages", "postgres", "redirects"),
    *("sessions", "sites"),
]
SHOP = ["taggit", "benchmarks.drifts.shop"]
RARE = [
    *("allauth", "allauth.account", "allauth.socialaccount", "allauth.usersessions"),
    *("django_q", "benchmarks.drifts.rare"),
]
WAGTAIL = [
    *("wagtail.contrib.forms", "wagtail.contrib.redirects", "wagtail.contrib.search_promotions"),
    *("wagtail.contrib.settings", "wagtail.embeds", "wagtail.sites", "wagtail.users"),
    *("wagtail.snippets", "wagtail.documents", "wagtail.images", "wagtail.search"),
    *("wagtail.admin", "wagtail", "wagtail.locales", "modelcluster", "modelsearch", "taggit"),
]
DEPOT = ["benchmarks.drifts.depot"]
WAGTAIL_SITE_NAME = "drifts"
WAGTAILADMIN_BASE_URL = "http://localhost"
Q_CLUSTER = {"orm": "default", "timeout": 60, "retry": 120}
PROJECTS = {"shop": SHOP, "depot": DEPOT, "rare": [*SHOP, *RARE], "wagtail": WAGTAIL}

INSTALLED_APPS = [
    *filter(None, [os.environ.get("DRIFTS_APP")]),
    *(f"django.contrib.{app}" for app in CONTRIB),
    *PROJECTS[os.environ.get("DRIFTS_PROJECT", "shop")],
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
if "allauth" in INSTALLED_APPS:
    MIDDLEWARE.append("allauth.account.middleware.AccountMiddleware")
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
_options = conninfo_to_dict(os.environ["DRIFTS_DATABASE"])
_name = _options.pop("dbname")
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": _name, "OPTIONS": _options}
}
