"""What system conversations say, and who hears it when (rest-api 8.7, 8.11, 8.14; hooks-and-push 4)."""

import asyncio

import pytest

from conversations.policy import Kind
from imcore import identifiers
from imcore.bridge import in_database
from imcore.delivery.encoding import Priority
from imcore.errors import ConversationRequestInvalid, InvalidMessagingTarget, MessageTooLong, SystemConversationRequired
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType
from messaging.models import ServiceMark, ServiceMessage
from tests.conftest import SignIn
from tests.conversations.talking import add, remove
from tests.conversations.talking import heard as notices
from tests.imclient import ImClient
from tests.messaging.marking import ack, done, read
from tests.messaging.returning import OFFLINE_PUSH, Connect, all_kept, back, counts, only_count, told_unread
from tests.messaging.speaking import MINUTE_MS, Service, new_service
from tests.messaging.support import frozen, heard, started


@pytest.fixture
async def service(application: Application) -> Service:
    """A system conversation."""
    return await new_service(application)


async def stored(service: Service) -> list[ServiceMessage]:
    """Return the rows of what a service has said."""
    return await in_database(lambda: list(ServiceMessage.objects.filter(application_id=service.application)))


async def all_quiet(*clients: ImClient) -> None:
    """See that nothing is under way to any of them."""
    for client in clients:
        await client.nothing_more()


async def test_a_message_to_named_clients_reaches_their_devices_and_nobody_else(
    signed_in: SignIn, service: Service
) -> None:
    """Checklist 31: subscribed or not; the sender's own devices, too."""
    tom, toms_web, mary, voice = [await signed_in(name) for name in ("tom", "tom", "mary", "voice")]
    await add(mary, service.cid, "mary")

    spoken = await service.tell("tom", "jerry", text="for you")

    for client in (tom, toms_web, voice):
        message = await heard(client)
        assert (message.cid, message.id, message.timestamp) == (service.cid, *spoken)
        assert (message.fromPeerId, message.msg, message.convType) == ("voice", "for you", Kind.SYSTEM)
        assert not any(message.HasField(name) for name in ("transient", "offline", "mentionAll", "r"))
    await all_quiet(tom, toms_web, mary, voice)
    assert sorted(row.client_id for row in await stored(service)) == ["jerry", "tom"]


async def test_a_message_with_no_sync_does_not_come_to_the_senders_devices(signed_in: SignIn, service: Service) -> None:
    """rest-api 8.7: `no_sync`."""
    tom, voice = await signed_in("tom"), await signed_in("voice")

    await service.tell("tom", syncs_sender=False)

    assert (await heard(tom)).msg == "hello"
    await all_quiet(voice)


async def test_a_message_to_subscribers_reaches_those_on_line_and_is_one_row(
    signed_in: SignIn, service: Service
) -> None:
    """Checklist 31: every device of each; who has unsubscribed does not hear it."""
    tom, toms_web, jerry, mary = [await signed_in(name) for name in ("tom", "tom", "jerry", "mary")]
    for client in (tom, jerry):
        await add(client, service.cid, client.client_id)
    await remove(jerry, service.cid, "jerry")

    spoken = await service.announce("news")

    for client in (tom, toms_web):
        message = await heard(client)
        assert (message.cid, message.id, message.msg, message.convType) == (
            service.cid, spoken.message_id, "news", Kind.SYSTEM,
        )  # fmt: skip
    await all_quiet(tom, toms_web, jerry, mary)
    assert len(await stored(service)) == 1


async def test_a_message_to_everybody_reaches_whoever_is_on_line_and_is_one_row(
    application: Application, signed_in: SignIn, service: Service
) -> None:
    """Checklist 33; of this application only."""
    clients = [await signed_in(f"client {number}") for number in range(5)]
    other = await new_service(await in_database(lambda: Application.objects.create(name="another")))

    spoken = await service.broadcast("for all")
    await other.broadcast("not for you")

    for client in clients:
        message = await heard(client)
        assert (message.cid, message.id, message.msg, message.convType) == (
            service.cid, spoken.message_id, "for all", Kind.SYSTEM,
        )  # fmt: skip
    await all_quiet(*clients)
    [row] = await stored(service)
    month_ms = 31 * identifiers.DAY_MS
    assert abs((row.valid_till_ms or 0) - row.timestamp_ms - month_ms) < MINUTE_MS
    marks = await in_database(ServiceMark.objects.filter(application_id=application.pk).count)
    assert marks == 0, "nothing is written for those who hear it"


@pytest.mark.parametrize("asked_days", [40, 10_000_000])
async def test_a_message_to_everybody_is_valid_for_a_month_at_most(service: Service, asked_days: int) -> None:
    """rest-api 8.14."""
    await service.broadcast(valid_ms=asked_days * identifiers.DAY_MS)

    [row] = await stored(service)
    assert (row.valid_till_ms or 0) - row.timestamp_ms <= 31 * identifiers.DAY_MS


async def test_what_is_transient_is_heard_and_not_kept(signed_in: SignIn, service: Service, connect: Connect) -> None:
    """To each audience."""
    tom = await signed_in("tom")
    await add(tom, service.cid, "tom")

    await service.tell("tom", text="one", is_transient=True, priority=Priority.LOW)
    await service.announce("two", is_transient=True)
    await service.broadcast("three", is_transient=True)

    said = [await heard(tom) for _ in range(3)]
    assert {message.msg for message in said} == {"one", "two", "three"}
    assert all(message.transient for message in said)
    assert await stored(service) == []


async def test_those_who_were_away_are_told_once_how_much_waits(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """Checklist 31, 33, 60: counts of all three kinds; until they are read, on every device."""
    jerry = await signed_in("jerry")
    await add(jerry, service.cid, "jerry")
    await jerry.wire.close()
    await service.tell("jerry", "mary", text="one")
    await service.announce("two")
    last = await service.broadcast("three")

    jerry = await back(jerry, connect, application.app_id)
    told = await only_count(jerry)
    jerrys_web = await signed_in("jerry")

    assert (told.cid, told.unread, told.convType, told.mentioned) == (service.cid, 3, Kind.SYSTEM, False)
    assert (told.mid, told.timestamp, told.data, getattr(told, "from")) == (*last, "three", "voice")
    assert (await only_count(jerrys_web)).unread == 3
    await read(jerry, service.cid, timestamp=last.timestamp_ms, mid=last.message_id)
    for client in (jerry, jerrys_web):
        assert (await only_count(client)).unread == 0
    jerry = await back(jerry, connect, application.app_id)
    await all_quiet(jerry, jerrys_web)


async def test_reading_a_part_leaves_the_rest(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """4.9.5: by time, and everything; never back."""
    tom = await signed_in("tom")
    first, second = await service.tell("tom", text="one"), await service.tell("tom", text="two")
    for _ in range(2):
        await heard(tom)

    await read(tom, service.cid, timestamp=first.timestamp_ms)
    assert (await only_count(tom)).unread == 1
    await read(tom, service.cid)
    assert (await only_count(tom)).unread == 0
    await read(tom, service.cid, timestamp=first.timestamp_ms, mid=first.message_id)
    assert (await only_count(tom)).unread == 0
    third = await service.tell("tom", text="three")
    await heard(tom)
    await read(tom, service.cid, timestamp=2**62)
    assert (await only_count(tom)).unread == 0

    assert second.timestamp_ms < third.timestamp_ms
    await all_quiet(await back(tom, connect, application.app_id))


async def test_a_device_that_knows_a_count_is_told_what_has_changed_only(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """4.10: `lastUnreadNotifTime`; a count that became 0 is told, too."""
    tom = await signed_in("tom")
    # Further back than what is told again to be sure.
    with frozen(identifiers.now_ms() - MINUTE_MS):
        await service.tell("tom", text="one")
    await heard(tom)
    tom = await back(tom, connect, application.app_id)
    position = (await told_unread(tom)).notifTime

    tom = await back(tom, connect, application.app_id, lastUnreadNotifTime=position)
    await all_quiet(tom)
    await read(tom, service.cid)
    await only_count(tom)

    tom = await back(tom, connect, application.app_id, lastUnreadNotifTime=position)
    assert (await only_count(tom)).unread == 0


@pytest.mark.parametrize("how", ["recalled", "deleted", "over"])
async def test_a_device_that_knows_a_count_is_told_that_nothing_waits_any_more(
    application: Application, signed_in: SignIn, connect: Connect, service: Service, how: str
) -> None:
    """4.10: whatever became of what it counted."""
    tom = await signed_in("tom")
    with frozen(identifiers.now_ms() - MINUTE_MS):
        spoken = await service.broadcast()
    await heard(tom)
    tom = await back(tom, connect, application.app_id)
    position = (await told_unread(tom)).notifTime
    if how == "recalled":
        await service.patch(spoken, None)
    elif how == "deleted":
        await service.delete_broadcast(spoken)
    else:
        rows = ServiceMessage.objects.filter(message_id=spoken.message_id)
        await in_database(lambda: rows.update(valid_till_ms=identifiers.now_ms()))

    tom = await back(tom, connect, application.app_id, lastUnreadNotifTime=position)
    assert (await only_count(tom)).unread == 0


async def test_old_clients_are_handed_what_they_missed_once(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """Checklist 60 in `.1` mode: with `offline`, oldest first, and not again, acknowledged or not."""
    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))
    await add(jerry, service.cid, "jerry")
    await jerry.wire.close()
    said = [await service.tell("jerry", text="one"), await service.announce("two"), await service.broadcast("three")]

    jerry = await back(jerry, connect, application.app_id)
    kept = await all_kept(jerry, 3)
    web = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))
    await all_quiet(web)

    assert [(one.cid, one.id, one.timestamp, one.msg) for one in kept] == [
        (service.cid, *spoken, text) for spoken, text in zip(said, ("one", "two", "three"), strict=True)
    ]
    assert all(one.convType == Kind.SYSTEM and one.fromPeerId == "voice" for one in kept)
    await all_quiet(await back(jerry, connect, application.app_id))


async def test_old_clients_are_not_handed_again_what_they_heard(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """In `.1` mode, whether they acknowledge it or not."""
    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))
    await add(jerry, service.cid, "jerry")
    await service.tell("jerry", text="one")
    await service.announce("two")
    await service.broadcast("three")
    assert {(await heard(jerry)).msg for _ in range(3)} == {"one", "two", "three"}

    jerry = await back(jerry, connect, application.app_id)

    await all_quiet(jerry)


async def test_what_an_old_client_acknowledges_is_not_unread(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """4.9.3: it says nothing else. By id, and by time."""
    old = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))
    new = await signed_in("jerry")
    for how in ("id", "time"):
        spoken = await service.tell("jerry")
        await heard(old)
        await heard(new)
        if how == "id":
            await ack(old, cid=service.cid, mid=spoken.message_id)
        else:
            await ack(old, cid=service.cid, fromts=spoken.timestamp_ms, tots=spoken.timestamp_ms)
        await done(old)
        assert (await only_count(new)).unread == 0
    await all_quiet(await back(new, connect, application.app_id))


async def test_a_client_that_is_new_gets_the_newest_of_those_that_are_valid(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 33: one in all, also when it comes again; then those that come after it."""
    first, second = await new_service(application), await new_service(application)
    await first.broadcast("one")
    await second.broadcast("two")
    await first.broadcast("over", valid_ms=-1)

    newcomer = await signed_in("newcomer")
    assert await counts(newcomer) == {second.cid: 1}
    newcomer = await back(newcomer, connect, application.app_id)
    assert await counts(newcomer) == {second.cid: 1}
    await newcomer.wire.close()
    await first.broadcast("three")

    newcomer = await back(newcomer, connect, application.app_id)
    assert await counts(newcomer) == {first.cid: 1, second.cid: 1}


async def test_a_client_that_was_only_spoken_to_is_new_all_the_same(
    application: Application, signed_in: SignIn, service: Service
) -> None:
    """What is recalled from it counts it, and that is not coming."""
    spoken = await service.tell("newcomer")
    await service.broadcast("one")
    await service.patch(spoken, None, client_ids=["newcomer"])
    await service.broadcast("two")

    assert await counts(await signed_in("newcomer")) == {service.cid: 1}


async def test_a_client_from_before_gets_all_that_are_valid(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """Checklist 33: it was away when the application spoke for the first time."""
    tom = await signed_in("tom")
    await tom.wire.close()
    for text in ("one", "two", "three"):
        await service.broadcast(text)

    assert await counts(await back(tom, connect, application.app_id)) == {service.cid: 3}


async def test_what_is_over_or_deleted_comes_no_more(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """Checklist 33; a message whose time is over from the start is for those on line."""
    tom, old = await signed_in("tom"), await signed_in("old", wire=await connect(OFFLINE_PUSH))
    await old.wire.close()
    over = await service.broadcast("over", valid_ms=-1)
    assert (await heard(tom)).id == over.message_id
    await tom.wire.close()
    deleted = await service.broadcast("deleted")
    await service.delete_broadcast(deleted)

    await all_quiet(await back(tom, connect, application.app_id), await back(old, connect, application.app_id))


async def test_who_subscribes_later_has_no_older_messages_unread(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """They are history to it; what it missed while it was unsubscribed, too."""
    tom = await signed_in("tom")
    await service.announce("before")
    await add(tom, service.cid, "tom")
    await service.announce("for tom")
    assert (await heard(tom)).msg == "for tom"
    await remove(tom, service.cid, "tom")
    await service.announce("meanwhile")
    await add(tom, service.cid, "tom")

    tom = await back(tom, connect, application.app_id)
    await all_quiet(tom)
    await tom.wire.close()
    await service.announce("again for tom")

    assert (await only_count(await back(tom, connect, application.app_id))).unread == 1


async def test_ones_own_messages_are_not_unread(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """4.10: a client in whose name the application speaks."""
    tom = await signed_in("tom")
    await add(tom, service.cid, "tom")
    service.voice = "tom"
    for spoken in (service.tell("tom"), service.announce(), service.broadcast()):
        await spoken
        await heard(tom)

    await all_quiet(await back(tom, connect, application.app_id))


@pytest.mark.parametrize("to", ["clients", "subscribers", "everybody"])
async def test_what_cannot_be_said_is_refused_and_not_kept(
    application: Application, signed_in: SignIn, service: Service, to: str
) -> None:
    """rest-api 8.7: 4401, 4313, 4109; nobody hears anything."""
    tom = await signed_in("tom")
    await add(tom, service.cid, "tom")
    room = await started(application, "mary", "jerry")

    async def speak(one: Service, text: str = "x") -> None:
        await (
            one.tell("tom", text=text)
            if to == "clients"
            else one.announce(text)
            if to == "subscribers"
            else one.broadcast(text)
        )

    for cid in ("0" * 24, "", "\0", "x" * 100):
        with pytest.raises(InvalidMessagingTarget):
            await speak(Service(application, cid))
    with pytest.raises(SystemConversationRequired):
        await speak(Service(application, room))
    with pytest.raises(MessageTooLong):
        await speak(service, "x" * 5121)
    for voice in ("", "x" * 65, "a\0b"):
        with pytest.raises(ConversationRequestInvalid):
            await speak(Service(application, service.cid, voice))

    await all_quiet(tom)
    assert await stored(service) == []
    await speak(service, "x" * 5120)
    assert len((await heard(tom)).msg) == 5120


async def test_a_message_has_one_to_twenty_receivers(service: Service) -> None:
    """Checklist 31: twenty, twenty-one, none, and what is no client."""
    await service.tell(*(f"client {number}" for number in range(20)))
    refused: list[list[str]] = [[f"client {number}" for number in range(21)], [], [""], ["a\0"], ["x" * 65]]
    for client_ids in refused:
        with pytest.raises(ConversationRequestInvalid):
            await service.tell(*client_ids)

    assert len(await stored(service)) == 20
    await service.tell("twice", "twice")
    assert len(await stored(service)) == 21


async def test_a_text_that_postgresql_cannot_hold_is_kept_all_the_same(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """With a NUL."""
    await service.tell("tom", text="a\0b")

    assert (await only_count(await signed_in("tom"))).data == "a\0b"
    old = await signed_in("tom", wire=await connect(OFFLINE_PUSH))
    assert [one.msg for one in await all_kept(old, 1)] == ["a\0b"]


@pytest.mark.parametrize("subprotocols", [("lc.protobuf2.3",), OFFLINE_PUSH])
async def test_what_is_said_while_a_client_opens_is_told_once(
    application: Application, signed_in: SignIn, connect: Connect, service: Service, subprotocols: tuple[str, ...]
) -> None:
    """Checklist 60: in what was missed, or behind it."""
    tom = await signed_in("tom", wire=await connect(subprotocols))
    await add(tom, service.cid, "tom")
    said: list[str] = []
    got: list[str] = []

    for _ in range(15):
        await tom.wire.close()
        tom, *spoken = await asyncio.gather(
            back(tom, connect, application.app_id),
            service.broadcast(),
            service.tell("tom"),
            service.announce(),
            service.broadcast(),
        )
        said += [one.message_id for one in spoken]
        shown = 0
        for frame in await notices(tom):
            if frame.cmd == CommandType.unread:
                shown = frame.unreadMessage.convs[0].unread
            elif frame.cmd == CommandType.direct:
                got.append(frame.directMessage.id)
                shown += 1
        if subprotocols != OFFLINE_PUSH:
            assert shown == len(said)

    if subprotocols == OFFLINE_PUSH:
        assert sorted(got) == sorted(said)
