from django.apps import AppConfig


class SignalsConfig(AppConfig):
    """The application over the tables events, signals and onchain_features."""

    name = "signals"
    default_auto_field = "django.db.models.BigAutoField"
