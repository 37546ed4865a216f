"""Messages to system conversations: for the service, and nobody else (realtime-protocol 4.9.1, 4.14)."""

import asyncio
from collections.abc import Iterable

import pytest

from conversations.models import Conversation
from imcore.bridge import in_database
from imcore.delivery.encoding import Priority
from imcore.identifiers import message_id
from imcore.models import Application
from imcore.protocol.message_pb2 import DirectCommand
from messaging.events import Body, Mentions
from messaging.models import Message, MessagingSettings, SysMessage
from messaging.services import sending
from messaging.storage import upstream
from tests.conftest import SignIn
from tests.conversations.commands.test_systems import service_of
from tests.conversations.talking import add, heard, look_up, query
from tests.messaging.storage.drafts import new_conversation
from tests.messaging.support import attempt, say, send_together
from tests.together import at_once


@pytest.fixture
async def service(application: Application) -> str:
    """The id of a system conversation."""
    return await service_of(application)


async def kept(application: Application) -> list[SysMessage]:
    """Return what the service was sent, oldest first."""
    return await in_database(
        lambda: list(SysMessage.objects.filter(application=application).order_by("timestamp_ms", "message_id"))
    )


async def test_a_message_to_a_service_is_kept_for_it_and_told_to_nobody(
    signed_in: SignIn, application: Application, service: str
) -> None:
    """Without a subscription; subscribers and the sender's other devices hear nothing, and `lm` does not move."""
    tom, toms_web, jerry = await signed_in("tom"), await signed_in("tom"), await signed_in("jerry")
    for client in (tom, jerry):
        await add(client, service, client.client_id)
    stranger = await signed_in("stranger")

    acks = [await say(stranger, service, "hello?"), await say(tom, service, "me too", mentionAll=True, r=True)]

    rows = await kept(application)
    assert [(row.message_id, row.timestamp_ms, row.sender, row.text) for row in rows] == [
        (acks[0].uid, acks[0].t, "stranger", "hello?"),
        (acks[1].uid, acks[1].t, "tom", "me too"),
    ]
    for client in (tom, toms_web, jerry, stranger):
        assert await heard(client) == []
    assert "lm" not in await look_up(tom, service)
    assert "msg" not in (await query(tom, {"objectId": service}, flag=2))[0]
    assert await in_database(lambda: Message.objects.filter(application=application).count()) == 0
    conversation = await in_database(lambda: Conversation.objects.get(object_id=service))
    assert (conversation.last_seq, conversation.last_message_ms) == (0, None)


async def test_bodies_arrive_as_they_were_sent(signed_in: SignIn, application: Application, service: str) -> None:
    """Text, text with a NUL, bytes, and nothing."""
    tom = await signed_in("tom")

    await say(tom, service, "猫 🐈")
    await say(tom, service, "a\0b")
    await say(tom, service, binaryMsg=b"\x00\xff")
    await say(tom, service, "")

    rows = await kept(application)
    assert [(row.text, None if row.data is None else bytes(row.data), row.is_binary) for row in rows] == [
        ("猫 🐈", None, False),
        (None, b"a\0b", False),
        (None, b"\x00\xff", True),
        ("", None, False),
    ]


async def test_a_resend_is_kept_once_with_its_first_id(
    signed_in: SignIn, application: Application, service: str
) -> None:
    """Checklist 54, upstream: later, at the same time, and per sender and conversation."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    other = await service_of(application, "other")

    first = await say(tom, service, "once", dt="a token")
    again = await say(tom, service, "once", dt="a token")
    together = await send_together(tom, [DirectCommand(cid=service, msg="twice", dt="b\0") for _ in range(3)])
    others = [await say(jerry, service, "once", dt="a token"), await say(tom, other, "once", dt="a token")]
    plain = [await say(tom, service, "no token") for _ in range(2)]

    assert (again.uid, again.t) == (first.uid, first.t)
    assert len({(ack.uid, ack.t) for ack in together}) == 1
    assert len(await kept(application)) == 1 + 1 + 2 + 2
    assert len({ack.uid for ack in (first, *together, *others, *plain)}) == 6


async def test_resends_within_one_batch_are_kept_once(application: Application, service: str) -> None:
    """Whatever comes together, in one statement."""
    number = await in_database(lambda: Conversation.objects.get(object_id=service).pk)

    def draft(message_id: str, token: str | None) -> upstream.UpstreamDraft:
        return upstream.UpstreamDraft(
            f"{application.pk}-{message_id}", application.pk, number, 1000, "tom", None, "hi", None, False, token
        )

    drafts = [draft("a", "x"), draft("b", "x"), draft("c", None), draft("d", None), draft("e", "y")]
    once = await in_database(upstream.store, drafts)
    twice = await in_database(upstream.store, drafts)

    assert once == twice
    assert [message_id.rpartition("-")[2] for message_id, _ in once] == ["a", "a", "c", "d", "e"]


def test_the_same_resends_through_two_nodes_do_not_wait_for_each_other(application: Application) -> None:
    """Of one client in any order: it would make all senders of both batches wait, and one of them fail."""
    service = new_conversation(application, "tom")

    def resend(tokens: Iterable[str]) -> None:
        upstream.store(
            [
                upstream.UpstreamDraft(
                    message_id(1000), application.pk, service.pk, 1000, "tom", None, "hi", None, False, token
                )
                for token in tokens
            ]
        )

    def names(number: int) -> list[str]:
        return [f"{number}/{place:02}" for place in range(50)]

    at_once(lambda number: resend(names(number)), lambda number: resend(reversed(names(number))), rounds=30)

    assert SysMessage.objects.filter(application=application).count() == 30 * 50


async def test_a_passing_message_is_acknowledged_and_nothing_else(
    signed_in: SignIn, application: Application, service: str
) -> None:
    """Hooks-and-push 3."""
    tom = await signed_in("tom")

    await say(tom, service, "typing", transient=True)

    assert await kept(application) == []
    assert await heard(tom) == []


async def test_too_long_a_message_is_refused(signed_in: SignIn, application: Application, service: str) -> None:
    """Checklist 69, upstream."""
    tom = await signed_in("tom")

    refused = await attempt(tom, service, "x" * 5121)

    assert refused.code == 4109
    assert await kept(application) == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, None),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("unknown", None),
        ("", None),
        ("192.0.2.7:443", None),
    ],
)
async def test_the_senders_address_is_kept_if_it_is_one(
    application: Application, service: str, address: str | None, expected: str | None
) -> None:
    """A proxy may say anything; no message is lost for it."""
    await asyncio.gather(
        *(
            sending.send(
                application=application.pk,
                settings=MessagingSettings(),
                conversation_id=service,
                sender="tom",
                session=None,
                body=Body("hello", None),
                push_data="",
                mentions=Mentions(),
                is_transient=False,
                priority=Priority.NORMAL,
                wants_receipt=False,
                deduplication_token="",
                sender_address=address,
                now_ms=0,
            )
            for _ in range(2)
        )
    )

    assert [row.sender_address for row in await kept(application)] == [expected, expected]
