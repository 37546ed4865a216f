"""Wills: what is said in a client's name when it is lost without signing out (realtime-protocol 4.9.1).

A will belongs to the device that left it, and to the session that device opened last: one that is found dead late says
nothing of a device that has come back since. It is taken before it is delivered, so it comes once or, when the process
dies in between, not at all.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from django.conf import settings as operator

from conversations.policy import Kind
from imcore import identifiers
from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.delivery.encoding import Priority
from imcore.delivery.presence import LocalSession
from imcore.errors import ConversationNotAllowed, ImError, SessionRequired
from messaging.events import Body, Mentions, MessageSent
from messaging.models import MessagingSettings
from messaging.services import sending
from messaging.services.sending import TRANSIENT_MAX_AGE_SECONDS, Acknowledgement
from messaging.storage import wills
from messaging.storage.wills import LeftWill, Lost

logger = logging.getLogger(__name__)

LOST_AT_ONCE = 500  # whose wills are looked up in one transaction

_delivering: set[asyncio.Task[None]] = set()


class Mortal(LocalSession, Protocol):
    """A session as wills know it: its device, its key, and whether something is to be said if it is lost."""

    device: int
    key: str
    has_will: bool

    @property
    def is_lost(self) -> bool:
        """Whether it is over, and its client not expected to come back by itself."""


async def leave(
    *,
    application: int,
    settings: MessagingSettings,
    conversation_id: str,
    session: Mortal,
    body: Body,
    push_data: str,
    mentions: Mentions,
    now_ms: int,
) -> Acknowledgement:
    """Keep what is to be said when the session is lost, in place of the will its client had.

    Raises what sending it now would, ConversationNotAllowed for a system conversation, and SessionRequired if the
    device has opened another session since: a will belongs to that one.
    """
    conversation = await sending.admit(
        application=application,
        conversation_id=conversation_id,
        sender=session.client_id,
        now_ms=now_ms,
        max_age_seconds=TRANSIENT_MAX_AGE_SECONDS,
    )
    if conversation.kind is Kind.SYSTEM:
        raise ConversationNotAllowed("Nobody hears a will in a system conversation.")
    sending.check_size(settings, body, push_data, mentions)
    text, data = sending.storable(body)
    will = LeftWill(
        application=application,
        client_id=session.client_id,
        device=session.device,
        conversation_id=conversation.object_id,
        message_id=identifiers.message_id(now_ms),
        text=text,
        data=data,
        is_binary=body.text is None,
        mentions=Mentions(sending.storable_ids(mentions), mentions.everybody),
    )
    if not await in_database(wills.store, will, session_key=session.key, now_ms=now_ms):
        raise SessionRequired("The device has opened another session since.")
    become_mortal(session=session)
    return Acknowledgement(will.message_id, now_ms)


def become_mortal(*, session: Mortal) -> None:
    """Note that there is something to be said if a session is lost, or say it: it may have been lost meanwhile."""
    session.has_will = True
    if session.is_lost:
        execute(session=session)


def execute(*, session: Mortal) -> None:
    """Deliver what a session that was lost has left. Never waits."""
    if session.has_will:
        task = asyncio.create_task(_execute(Lost(session.device, session.key)), name="will")
        _delivering.add(task)
        task.add_done_callback(_delivering.discard)


async def settle() -> None:
    """Wait until every will so far has been handed on."""
    while _delivering:
        await asyncio.wait(_delivering)
    await router.router.settle()


async def _execute(lost: Lost) -> None:
    try:
        will = await _takings.submit(lost)
        if will is not None:
            await _deliver(will, identifiers.now_ms())
    except ImError as error:
        logger.info("A will was not delivered: %s", error)


async def _deliver(will: LeftWill, now_ms: int) -> None:
    """Tell those who are on line, if its client may still send there. Raises what sending it would."""
    conversation = await sending.admit(
        application=will.application,
        conversation_id=will.conversation_id,
        sender=will.client_id,
        now_ms=now_ms,
        max_age_seconds=0,
    )
    event = MessageSent(
        conversation=conversation.pk,
        conversation_id=conversation.object_id,
        kind=conversation.kind,
        message_id=will.message_id,
        seq=None,
        timestamp_ms=now_ms,
        sender=will.client_id,
        body=will.body,
        mentions=will.mentions,
        wants_receipt=False,
        priority=Priority.HIGH,
        to=sending.audience(conversation),
        is_transient=False,
    )
    router.publish(will.application, event)


async def _take(lost: Sequence[Lost]) -> list[LeftWill | None]:
    return await in_database(wills.take, lost)


_takings: Batcher[Lost, LeftWill | None] = Batcher(
    _take, size=LOST_AT_ONCE, backlog=operator.STORE_BACKLOG, name="wills"
)
