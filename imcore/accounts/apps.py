from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "imcore.accounts"
    label = "accounts"
    verbose_name = "Accounts"
