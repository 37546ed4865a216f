"""The dashboard as somebody sees who has logged in."""

from django.contrib.auth import get_user_model
from django.test import Client


def logged_in() -> Client:
    """Return a browser that an administrator is logged in with."""
    users = get_user_model()
    supporter = users.objects.filter(username="supporter").first()
    client = Client()
    client.force_login(supporter or users.objects.create_superuser("supporter"))
    return client
