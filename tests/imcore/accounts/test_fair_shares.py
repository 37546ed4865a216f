"""Applications share the threads that hash passwords, and the room to wait for them."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from pytest_django.fixtures import Settings as DjangoSettings

from imcore.accounts.services import passwords
from imcore.bridge import in_database
from imcore.models import Application
from tests.imcore.accounts.asking import Answer, Api
from tests.waiting import until


class GatedHasher(MD5PasswordHasher):
    """Checks a password when it is let to, and remembers in which order."""

    gate = threading.Event()
    checked: list[str] = []

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether this is the password."""
        self.checked.append(password)
        assert self.gate.wait(10)
        return super().verify(password, encoded)


@pytest.fixture(autouse=True)
def gate(settings: DjangoSettings) -> Iterator[threading.Event]:
    """The gate, closed."""
    settings.PASSWORD_HASHERS = [f"{__name__}.GatedHasher"]
    GatedHasher.checked.clear()
    GatedHasher.gate.clear()
    yield GatedHasher.gate
    GatedHasher.gate.set()


@pytest.fixture
async def neighbour() -> Api:
    """The API of another application, which has a user."""
    application = await in_database(lambda: Application.objects.create(name="the neighbour"))
    api = Api(application)
    await api.sign_up("spike", "bone!")
    return api


async def log_in(api: Api, username: str, password: str) -> Answer:
    """Log in."""
    return await api.ask("POST", "login", {"username": username, "password": password})


def waiting() -> int:
    """Return how many passwords are hashed or wait for it, of all applications."""
    return sum(queue.length for queue in passwords._queues.values())


async def first(tasks: Sequence[asyncio.Task[Answer]], number: int) -> list[Answer]:
    """Return the answers that come first."""
    coming = asyncio.as_completed(tasks)
    return [await next(coming) for _ in range(number)]


async def test_a_flood_of_one_application_refuses_that_one_alone(
    api: Api, neighbour: Api, gate: threading.Event, settings: DjangoSettings
) -> None:
    """There are never more in all: each has a thread, of which an application's flood would leave others none."""
    await api.sign_up("tom", "cheese!")
    settings.PASSWORD_BACKLOG = 4
    flood = [asyncio.create_task(log_in(api, "tom", "cheese!")) for _ in range(4)]
    await until(lambda: waiting() == 4)

    refused = await log_in(api, "tom", "cheese!")
    others = [asyncio.create_task(log_in(neighbour, "spike", "bone!")) for _ in range(2)]
    made_room = [one.code for one in await first(flood, 2)]
    too_many = await log_in(neighbour, "spike", "bone!")
    assert waiting() == 4
    gate.set()

    assert [refused.code, too_many.code, *made_room] == [(429, 429)] * 4
    assert int(refused.headers["Retry-After"]) > 0
    assert sorted(one.status for one in await asyncio.gather(*flood)) == [200, 200, 429, 429]
    assert [one.status for one in await asyncio.gather(*others)] == [200, 200]
    assert (await log_in(api, "tom", "cheese!")).status == 200


async def test_whoever_comes_after_a_flood_of_another_application_has_the_next_turn(
    api: Api, neighbour: Api, gate: threading.Event, settings: DjangoSettings
) -> None:
    await api.sign_up("tom", "cheese!")
    flood = [asyncio.create_task(log_in(api, "tom", "cheese!")) for _ in range(12)]
    await until(lambda: waiting() == 12 and len(GatedHasher.checked) == settings.PASSWORD_THREADS)
    other = asyncio.create_task(log_in(neighbour, "spike", "bone!"))
    await until(lambda: waiting() == 13)
    gate.set()
    await asyncio.gather(*flood, other)

    assert GatedHasher.checked.index("bone!") == settings.PASSWORD_THREADS
