from django.apps import AppConfig


class FilesConfig(AppConfig):
    name = "imcore.files"
    label = "files"
    verbose_name = "Files"
