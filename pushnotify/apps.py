from django.apps import AppConfig


class PushConfig(AppConfig):
    name = "pushnotify"
    verbose_name = "Push"
