"""Sending a message, as the sender and the receivers see it."""

import pytest

from conversations.policy import Kind
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, ConvCommand, DirectCommand, OpType
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.imclient import CONFIG_BITMAP, InProcess
from tests.messaging.support import attempt, command, conversation, heard, history, rows, say, send_together, started


async def test_an_ack_tells_the_id_and_time_that_receivers_get(application: Application, signed_in: SignIn) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    ack = await say(tom, room, "hello")

    message = await heard(jerry)
    assert (message.id, message.timestamp) == (ack.uid, ack.t)
    assert (message.cid, message.fromPeerId, message.msg) == (room, "tom", "hello")
    await jerry.nothing_more()
