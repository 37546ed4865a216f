"""An application with users whose passwords are hashed cheaply."""

import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from imcore.models import Application
from tests.imcore.accounts.asking import Api


@pytest.fixture(autouse=True)
def cheap_hashes(settings: DjangoSettings) -> None:
    """Hash quickly: what is kept is tested in test_hashers.py."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture
def api(application: Application) -> Api:
    """The API of the test's application."""
    return Api(application)
