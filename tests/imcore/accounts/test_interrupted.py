"""What an administrator does while a request waits for a password to be hashed: a stolen session ends there."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from pytest_django.fixtures import Settings as DjangoSettings

from imcore.accounts.services import managing
from imcore.appsettings import ApplicationSnapshot, applications
from imcore.identifiers import now_ms
from imcore.models import Application
from tests.imcore.accounts.asking import Api, Json

SLOW = "of the thief"
_begun, _may_end = threading.Event(), threading.Event()


class Slow(MD5PasswordHasher):
    """Hashes one password for as long as a test likes."""

    def encode(self, password: str, salt: str) -> str:
        """Return the hash."""
        if password == SLOW:
            _begun.set()
            assert _may_end.wait(30)
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def slow_hashes(settings: DjangoSettings) -> Iterator[None]:
    """Let the password wait until the test says otherwise."""
    settings.PASSWORD_HASHERS = [f"{__name__}.Slow"]
    _begun.clear()
    _may_end.clear()
    yield
    _may_end.set()


@pytest.fixture
async def snapshot(application: Application) -> ApplicationSnapshot:
    """The application as services know it."""
    found = await applications.get(application.app_id)
    assert found is not None
    return found


async def test_a_session_that_ends_meanwhile_sets_no_password(api: Api, snapshot: ApplicationSnapshot) -> None:
    tom = await api.sign_up("tom", "cheese!")

    theft = asyncio.create_task(
        api.ask("PUT", f"users/{tom['objectId']}", {"password": SLOW}, token=tom["sessionToken"])
    )
    await asyncio.to_thread(_begun.wait, 30)
    await managing.end_session(application=snapshot, object_id=tom["objectId"], now_ms=now_ms())
    _may_end.set()

    assert (await theft).code == (403, 403)
    assert await log_in(api, "cheese!") == 200
    assert await log_in(api, SLOW) == 210


async def test_who_knows_the_old_password_does_not_undo_a_reset(api: Api, snapshot: ApplicationSnapshot) -> None:
    tom = await api.sign_up("tom", "cheese!")
    asked: Json = {"old_password": "cheese!", "new_password": SLOW}

    theft = asyncio.create_task(
        api.ask("PUT", f"users/{tom['objectId']}/updatePassword", asked, token=tom["sessionToken"])
    )
    await asyncio.to_thread(_begun.wait, 30)
    await managing.reset_password(
        application=snapshot, object_id=tom["objectId"], password="new cheese", now_ms=now_ms()
    )
    _may_end.set()

    assert (await theft).code == (400, 210)
    assert await log_in(api, "new cheese") == 200
    assert await log_in(api, SLOW) == 210


async def log_in(api: Api, password: str) -> int:
    """Return the code that a log-in is answered with, 200 for none."""
    answer = await api.ask("POST", "login", {"username": "tom", "password": password})
    return 200 if answer.status == 200 else int(answer.body["code"])
