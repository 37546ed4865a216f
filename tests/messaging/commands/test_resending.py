"""A message sent again with the same `dt`: stored and delivered once, acknowledged as the first time."""

from unittest.mock import Mock

import pytest
from django.db import OperationalError

from imcore.models import Application
from messaging.storage import messages
from tests.conftest import SignIn
from tests.messaging.gate import Gate, together
from tests.messaging.support import attempt, command, heard, rows, say, send_together, started, texts


async def test_a_repeat_gets_the_first_ack_and_is_delivered_once(application: Application, signed_in: SignIn) -> None:
    """Checklist 54."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    first = await say(tom, room, "hello", dt="token")
    again = await say(tom, room, "hello", dt="token")

    assert again == first
    assert (await heard(jerry)).id == first.uid
    await jerry.nothing_more()
    assert len(await rows(room)) == 1


async def test_a_repeat_from_another_device_after_a_reconnect_is_recognised(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 54."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    first = await say(tom, room, "hello", dt="token")
    await tom.wire.close()

    again = await say(await signed_in("tom"), room, "hello", dt="token")

    assert again == first
    await heard(jerry)
    await jerry.nothing_more()


async def test_a_repeat_with_other_content_is_the_first_message_still(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 54."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    first = await say(tom, room, "one", dt="token")
    second = await say(tom, room, "two", dt="token", mentionAll=True)
    third = await say(tom, room, binaryMsg=b"three", dt="token")

    assert second == third == first
    assert (await heard(jerry)).msg == "one"
    await jerry.nothing_more()
    assert await texts(jerry, room) == ["one"]


async def test_the_same_token_of_another_sender_or_elsewhere_is_another_message(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 54."""
    room, other = await started(application, "tom", "jerry"), await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    acks = [
        await say(tom, room, "tom's", dt="token"),
        await say(jerry, room, "jerry's", dt="token"),
        await say(tom, other, "elsewhere", dt="token"),
    ]

    assert len({ack.uid for ack in acks}) == 3
    assert await texts(tom, room) == ["tom's", "jerry's"]
    assert await texts(tom, other) == ["elsewhere"]


async def test_messages_without_a_token_are_never_the_same(application: Application, signed_in: SignIn) -> None:
    """Checklist 54."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")

    acks = await send_together(tom, [command(room, "hi"), command(room, "hi"), command(room, "hi", dt="")])

    assert len({ack.uid for ack in acks}) == 3


@pytest.mark.parametrize(
    ("token", "near"),
    [
        ("t" * 10_240, "t" * 10_239),
        ("t" * 64, "t" * 65),
        ("t" * 65, "t" * 64),
        ("a\0b", "ab"),
        ("\0", "\0\0"),
        ("中" * 64, "中" * 65),
        (" ", "  "),
        ("Token", "token"),
        ("%s", "%%s"),
    ],
)
async def test_any_token_is_recognised_and_taken_for_no_other(
    application: Application, signed_in: SignIn, token: str, near: str
) -> None:
    """Checklist 54: one of 10 KB or with U+0000, which the column cannot hold, too."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")

    first = await say(tom, room, "one", dt=token)
    other = await say(tom, room, "two", dt=near)
    again = await say(tom, room, "one", dt=token)

    assert again == first
    assert other.uid != first.uid
    assert await texts(tom, room) == ["one", "two"]


async def test_repeats_within_one_batch_are_one_message(
    application: Application, signed_in: SignIn, store_gate: Gate
) -> None:
    """Checklist 54."""
    room = await started(application, "tom", "jerry", "mary")
    devices = [await signed_in("tom", deviceId=str(number)) for number in range(4)]
    jerry, mary = await signed_in("jerry"), await signed_in("mary")

    _, *acks = await together(
        store_gate,
        attempt(mary, room, "first"),
        *(attempt(device, room, f"hello {number}", dt="token") for number, device in enumerate(devices)),
    )

    assert store_gate.batches == [1, 4]
    assert acks == [acks[0]] * 4
    assert await texts(mary, room) == ["first", "hello 0"]
    assert [(await heard(jerry)).msg for _ in range(2)] == ["first", "hello 0"]
    assert [(await heard(device)).msg for device in devices] == ["first"] * 4
    # The device whose try was stored gets no copy, the others one.
    assert [(await heard(device)).msg for device in devices[1:]] == ["hello 0"] * 3
    for client in (jerry, *devices):
        await client.nothing_more()


async def test_repeats_across_batches_are_one_message(
    application: Application, signed_in: SignIn, store_gate: Gate
) -> None:
    """Checklist 54."""
    room = await started(application, "tom", "jerry")
    phone, tablet = await signed_in("tom", deviceId="phone"), await signed_in("tom", deviceId="tablet")
    jerry = await signed_in("jerry")

    first, second = await together(store_gate, *(attempt(one, room, "hello", dt="token") for one in (phone, tablet)))

    assert store_gate.batches == [1, 1]
    assert first == second
    assert (await heard(jerry)).id == first.uid
    await jerry.nothing_more()


async def test_what_failed_has_left_no_token_behind(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 54."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    with monkeypatch.context() as broken:
        broken.setattr(messages, "_write", Mock(side_effect=OperationalError("the server went away")))
        failed = await attempt(tom, room, "hello", dt="token")

    ack = await say(tom, room, "hello", dt="token")

    assert failed.code == 4201
    assert (await heard(jerry)).id == ack.uid
    await jerry.nothing_more()
