"""History of a system conversation: what each client finds of it (realtime-protocol 4.11; rest-api 8.8)."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from conversations.models import Conversation
from conversations.policy import Kind
from imcore import identifiers
from imcore.bridge import in_database
from imcore.errors import ConversationNotFound, SystemConversationRequired
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, LogsCommand
from messaging.models import Audience, ServiceMessage, SysMessage
from messaging.services import logs
from messaging.services.logs import Asked, Boundary
from tests.conftest import SignIn
from tests.conversations.talking import add, remove
from tests.imclient import ImClient
from tests.messaging.speaking import Service, new_service
from tests.messaging.support import NEW, OLD, heard, history, say, started, texts

T = 1_700_000_000_000
RECALLED = '{"_lctype":-127}'


@pytest.fixture
async def service(application: Application) -> Service:
    """A system conversation."""
    return await new_service(application)


@pytest.fixture
async def tom(signed_in: SignIn, service: Service) -> ImClient:
    """A subscriber."""
    client = await signed_in("tom")
    await add(client, service.cid, "tom")
    return client


async def sent_to(service: Service, client_id: str, **fields: Any) -> list[str]:
    """Return the bodies of what the service has said to a client, for the service, oldest first."""
    asked: dict[str, Any] = {"older_end": None, "newer_end": None, "newest": True, "limit": 100}
    page = Asked(**asked | fields)
    entries = await logs.of_subscriber(
        application=service.application,
        conversation_id=service.cid,
        client_id=client_id,
        asked=page,
        now_ms=identifiers.now_ms(),
    )
    found = [entry.message.wire_text for entry in entries]
    return found[::-1] if page.newest else found


async def test_a_client_finds_what_was_said_to_it_to_all_and_by_itself_in_one_order(
    tom: ImClient, signed_in: SignIn, service: Service
) -> None:
    """hooks-and-push 4; what was said to others is theirs."""
    mary = await signed_in("mary")
    await service.tell("tom", "jerry", text="to tom")
    await say(tom, service.cid, "from tom")
    await service.announce("to subscribers")
    await service.tell("jerry", text="to jerry")
    await say(mary, service.cid, "from mary")
    spoken = await service.broadcast("to everybody")
    for _ in range(3):
        await heard(tom)

    items = await history(tom, service.cid)

    assert [item.data for item in items] == ["to tom", "from tom", "to subscribers", "to everybody"]
    assert [getattr(item, "from") for item in items] == ["voice", "tom", "voice", "voice"]
    assert (items[-1].msgId, items[-1].timestamp, items[-1].convType) == (*spoken, Kind.SYSTEM)
    assert [item.timestamp for item in items] == sorted(item.timestamp for item in items)
    assert await sent_to(service, "tom") == ["to tom", "to subscribers"]
    assert await sent_to(service, "jerry") == ["to tom", "to jerry"]


async def test_who_follows_finds_what_was_said_to_subscribers_before_and_who_does_not_finds_none(
    tom: ImClient, signed_in: SignIn, service: Service
) -> None:
    """As members find all of a conversation whenever they joined it."""
    jerry = await signed_in("jerry")
    await service.announce("before jerry")
    await service.tell("jerry", text="to jerry")
    assert (await heard(jerry)).msg == "to jerry"
    assert await texts(jerry, service.cid) == ["to jerry"]

    await add(jerry, service.cid, "jerry")
    assert await texts(jerry, service.cid) == ["before jerry", "to jerry"]
    await remove(jerry, service.cid, "jerry")

    assert await texts(jerry, service.cid) == ["to jerry"]


async def test_who_neither_follows_nor_has_received_anything_is_refused(signed_in: SignIn, service: Service) -> None:
    """4.11: 4312, until the service says something to it, or to everybody."""
    jerry = await signed_in("jerry")
    await service.announce()
    await say(jerry, service.cid, "from jerry")

    refused = await jerry.request(CommandType.logs, logsMessage=LogsCommand(cid=service.cid))
    assert refused.errorMessage.code == 4312
    await service.broadcast("to everybody")
    await heard(jerry)

    assert await texts(jerry, service.cid) == ["from jerry", "to everybody"]


async def test_history_shows_what_is_over_and_recalled_and_not_what_was_deleted(
    tom: ImClient, service: Service
) -> None:
    """Checklist 33; rest-api 8.9."""
    said = [
        await service.broadcast("over", valid_ms=-1),
        await service.tell("tom", "jerry", text="recalled"),
        await service.tell("tom", "jerry", text="deleted for tom"),
        await service.announce("withheld from tom"),
        await service.broadcast("deleted for all"),
        await service.broadcast("edited"),
        await service.announce("last"),
    ]
    await service.patch(said[1], None, client_ids=["tom"])
    for message in said[2:4]:
        await service.delete_for("tom", message)
    await service.delete_broadcast(said[4])
    edited_ms = await service.patch(said[5], "better")

    items = await history_of(tom, service)

    assert [item.data for item in items] == ["over", RECALLED, "better", "last"]
    assert items[2].patchTimestamp == edited_ms
    assert await sent_to(service, "tom") == [RECALLED, "last"]
    assert await sent_to(service, "jerry") == ["recalled", "deleted for tom"]


async def history_of(client: ImClient, service: Service, **fields: Any) -> list[Any]:
    """Return a page of history, whatever else the client is told before."""
    items = await history(client, service.cid, **fields)
    client.seen.clear()
    return items


async def many_messages(service: Service, count: int) -> list[tuple[int, str, int | None]]:
    """Write messages of all kinds for tom, some of the same time; return time, id and type in the order of history."""
    rng = random.Random(7)
    places = sorted(
        (T + 10 * rng.randrange(count), f"{number:010}{service.application:012}") for number in range(count)
    )
    rows = [(at_ms, message_id, rng.choice([None, -1, 7])) for at_ms, message_id in places]

    def write() -> None:
        conversation = Conversation.objects.get(object_id=service.cid).pk
        for number, (at_ms, message_id, message_type) in enumerate(rows):
            fields: dict[str, Any] = {
                "application_id": service.application,
                "conversation_id": conversation,
                "message_id": message_id,
                "timestamp_ms": at_ms,
                "text": message_id,
                "message_type": message_type,
            }
            if number % 4 == 3:
                SysMessage.objects.create(sender="tom", **fields)
            else:
                audience = Audience(number % 4 + 1)
                whose = "tom" if audience is Audience.CLIENT else ""
                ServiceMessage.objects.create(sender="voice", audience=audience, client_id=whose, **fields)

    await in_database(write)
    return rows


def expected(rows: Sequence[tuple[int, str, int | None]], fields: dict[str, Any]) -> list[str]:
    """Return the page that the rule of 4.11 asks for."""
    is_backward = fields.get("direction", OLD) == OLD
    start, end = [
        (fields.get(name, 0), fields.get(f"{prefix}mid", ""), fields.get(f"{name}Included", False))
        for name, prefix in (("t", ""), ("tt", "t"))
    ]

    def compared(row: tuple[int, str, int | None], bound: tuple[int, str, bool]) -> int:
        """Return -1 before a bound, 1 behind it, and 0 at it: without an id that is its whole millisecond."""
        at_ms, message_id, _ = bound
        place = (row[0], row[1] if message_id else "")
        return (place > (at_ms, message_id)) - (place < (at_ms, message_id))

    older, newer = (end, start) if is_backward else (start, end)
    found = [
        row
        for row in rows
        if (not older[0] or compared(row, older) >= 1 - older[2])
        and (not newer[0] or compared(row, newer) <= newer[2] - 1)
        and ("lctype" not in fields or row[2] == fields["lctype"])
    ]
    page = found[-fields["limit"] :] if is_backward else found[: fields["limit"]]
    return [message_id for _, message_id, _ in page]


async def test_every_bound_means_what_it_means_elsewhere(tom: ImClient, service: Service) -> None:
    """Checklist 61: any combination of ends, directions, limits and types, against a plain list."""
    rows = await many_messages(service, 60)
    rng = random.Random(11)

    for _ in range(150):
        fields: dict[str, Any] = {"limit": rng.choice([1, 2, 7, 100]), "direction": rng.choice([OLD, NEW])}
        for name, prefix in (("t", ""), ("tt", "t")):
            if rng.random() < 0.6:
                at_ms, message_id, _ = rng.choice(rows)
                fields[name] = at_ms + rng.choice([0, 0, -5, 5])
                fields[f"{name}Included"] = rng.random() < 0.5
                if fields[name] == at_ms and rng.random() < 0.7:
                    fields[f"{prefix}mid"] = message_id
        if rng.random() < 0.3:
            fields["lctype"] = rng.choice([-1, 7, 8])
        assert [item.msgId for item in await history(tom, service.cid, **fields)] == expected(rows, fields), fields


async def test_an_end_that_names_an_unknown_message_is_its_time(tom: ImClient, service: Service) -> None:
    """4.11; a NUL, which no id has, is unknown, too."""
    rows = await many_messages(service, 20)
    middle = rows[10][0]

    for message_id in ("unknown", "a\0b"):
        items = await history(tom, service.cid, t=middle, mid=message_id)
        assert [item.msgId for item in items] == [row[1] for row in rows if row[0] < middle]


async def test_pages_of_what_was_said_to_a_client_meet_at_their_ends(tom: ImClient, service: Service) -> None:
    """rest-api 8.8: from the last message of a page on, in both directions."""
    rows = await many_messages(service, 40)
    wanted = [message_id for number, (_, message_id, _) in enumerate(rows) if number % 4 in (0, 1)]
    times = {message_id: at_ms for at_ms, message_id, _ in rows}

    down: list[str] = []
    end: Boundary | None = None
    while page := await sent_to(service, "tom", newer_end=end, limit=7):
        down = page + down
        end = Boundary(times[page[0]], page[0], is_included=False)
    up: list[str] = []
    end = None
    while page := await sent_to(service, "tom", older_end=end, newest=False, limit=7):
        up += page
        end = Boundary(times[page[-1]], page[-1], is_included=False)

    assert down == up == wanted


async def test_history_for_the_service_is_of_system_conversations(application: Application) -> None:
    """rest-api 8.8."""
    with pytest.raises(ConversationNotFound):
        await sent_to(Service(application, "0" * 24), "tom")
    with pytest.raises(SystemConversationRequired):
        await sent_to(Service(application, await started(application, "tom", "jerry")), "tom")
