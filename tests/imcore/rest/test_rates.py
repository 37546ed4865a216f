"""How often an application may ask (rest-api 7)."""

import itertools
from types import SimpleNamespace

import pytest
import redis.asyncio

from imcore import redis as our_redis
from imcore.bridge import in_database
from imcore.models import Application, RestSettings
from tests.messaging.signing_in import ObeySettings
from tests.restclient import call, master_of

pytestmark = pytest.mark.usefixtures("served")

SEND, TO_SUBSCRIBERS, BROADCAST = "/1.1/test/send", "/1.1/test/send-to-subscribers", "/1.1/test/broadcast"
# The middle of a minute, and of a day, which no other test has: Redis outlives a run.
_days = itertools.count(20_000)


class Clock:
    """The wall clock of the rates."""

    def __init__(self) -> None:
        self.now = next(_days) * 86_400_000 + 12 * 3_600_000 + 30_500

    def now_ms(self) -> int:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands."""
    clock = Clock()
    monkeypatch.setattr("imcore.rest.rates.now_ms", clock.now_ms)
    return clock


async def statuses(application: Application, path: str, times: int) -> list[int]:
    """Make requests as the developer and return how they were answered."""
    return [(await call("POST", path, master_of(application))).status_code for _ in range(times)]


@pytest.mark.slow
async def test_the_1801st_message_of_a_minute_is_refused(application: Application, clock: Clock) -> None:
    """Checklist 37: 1800 a minute unless the application says otherwise."""
    assert set(await statuses(application, SEND, 1800)) == {200}

    refused = await call("POST", SEND, master_of(application))

    assert (refused.status_code, refused.json()) == (429, {"code": 429, "error": "Too many requests."})


async def test_what_is_over_the_rate_is_refused_until_the_minute_ends(
    application: Application, clock: Clock, obey_settings: ObeySettings
) -> None:
    """Checklist 37: `Retry-After` tells when."""
    await obey_settings(RestSettings, rest_messages_per_minute=2)
    assert await statuses(application, SEND, 3) == [200, 200, 429]
    refused = await call("POST", SEND, master_of(application))
    assert refused["Retry-After"] == "30"

    clock.now += 29_000
    assert await statuses(application, SEND, 1) == [429]
    clock.now += 500

    assert await statuses(application, SEND, 3) == [200, 200, 429]


async def test_what_is_over_the_rate_of_a_day_is_refused_until_it_ends(
    application: Application, clock: Clock, obey_settings: ObeySettings
) -> None:
    """Checklist 37: what the minute refuses does not count for the day."""
    await obey_settings(RestSettings, rest_broadcasts_per_minute=2, rest_broadcasts_per_day=3)
    assert await statuses(application, BROADCAST, 4) == [200, 200, 429, 429]
    clock.now += 60_000
    assert await statuses(application, BROADCAST, 2) == [200, 429]

    clock.now += 60_000
    refused = await call("POST", BROADCAST, master_of(application))
    assert (refused.status_code, int(refused["Retry-After"])) == (429, 12 * 3600 - 150)
    clock.now += 12 * 3_600_000

    assert await statuses(application, BROADCAST, 1) == [200]


async def test_the_budgets_are_independent(application: Application, clock: Clock, obey_settings: ObeySettings) -> None:
    """Checklist 37: three of them, each application's own."""
    await obey_settings(
        RestSettings, rest_messages_per_minute=1, rest_subscriber_messages_per_minute=2, rest_broadcasts_per_minute=3
    )
    for path, allowed in ((SEND, 1), (TO_SUBSCRIBERS, 2), (BROADCAST, 3)):
        assert await statuses(application, path, allowed + 1) == [200] * allowed + [429]


async def test_applications_have_budgets_of_their_own(
    application: Application, clock: Clock, obey_settings: ObeySettings
) -> None:
    """Checklist 37."""
    await obey_settings(RestSettings, rest_messages_per_minute=1)
    assert await statuses(application, SEND, 2) == [200, 429]
    neighbour = await in_database(lambda: Application.objects.create(name="the neighbour"))

    assert await statuses(neighbour, SEND, 2) == [200, 200]


async def test_nothing_is_no_limit(application: Application, clock: Clock, obey_settings: ObeySettings) -> None:
    """Checklist 37: 0 a minute, and 0 a day."""
    await obey_settings(RestSettings, rest_broadcasts_per_minute=0, rest_broadcasts_per_day=0)

    assert await statuses(application, BROADCAST, 40) == [200] * 40


async def test_who_is_not_let_in_does_not_count(
    application: Application, clock: Clock, obey_settings: ObeySettings
) -> None:
    """Else anybody could use an application's budget up."""
    await obey_settings(RestSettings, rest_messages_per_minute=1)
    for _ in range(3):
        assert (await call("POST", SEND, {"X-LC-Id": application.app_id, "X-LC-Key": "wrong"})).status_code == 401

    assert await statuses(application, SEND, 2) == [200, 429]


async def test_a_count_ends_with_its_window_in_redis_too(
    application: Application, clock: Clock, obey_settings: ObeySettings
) -> None:
    """No key stays."""
    if not our_redis.is_configured():
        pytest.skip("there is no Redis")
    await obey_settings(RestSettings, rest_broadcasts_per_minute=1)
    await statuses(application, BROADCAST, 2)

    client = our_redis.client()
    keys = [key async for key in client.scan_iter(our_redis.rate_key(application.pk, "*"))]
    counts = [await client.get(key) for key in keys]
    lives = [await client.pttl(key) for key in keys]

    assert counts == [b"1", b"1"]
    assert all(0 < left <= 86_400_000 for left in lives)


async def test_the_process_counts_while_redis_does_not(
    application: Application, clock: Clock, obey_settings: ObeySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an error nor no bound at all."""
    await obey_settings(RestSettings, rest_messages_per_minute=1)
    nowhere = redis.asyncio.Redis(port=1)
    # Of the rates alone: presence goes on.
    broken = SimpleNamespace(is_configured=lambda: True, client=lambda: nowhere, rate_key=our_redis.rate_key)
    monkeypatch.setattr("imcore.rest.rates.redis", broken)

    assert await statuses(application, SEND, 2) == [200, 429]
    await nowhere.aclose()


async def test_what_is_carried_in_a_batch_counts_one_by_one(
    application: Application, clock: Clock, obey_settings: ObeySettings
) -> None:
    """A batch is no way around a rate."""
    await obey_settings(RestSettings, rest_messages_per_minute=2)
    requests = [{"method": "POST", "path": SEND}] * 3

    answer = await call("POST", "/1.1/batch", master_of(application), {"requests": requests})

    assert [one.get("error", {}).get("code") for one in answer.json()] == [None, None, 429]
