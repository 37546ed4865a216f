"""Start-up of the core: every app's commands, notices and pages register themselves when their module is imported."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ImcoreConfig(AppConfig):
    """The core as a Django app."""

    name = "imcore"
    verbose_name = "imcore"

    def ready(self) -> None:
        """Import each installed app's `commands` and `notices`, so that what they register is there."""
        autodiscover_modules("commands", "notices")
        from imcore import checks  # noqa: F401 - registers Django's system checks
