from django.apps import AppConfig


class InstallationsConfig(AppConfig):
    name = "imcore.installations"
    label = "installations"
    verbose_name = "Installations"
