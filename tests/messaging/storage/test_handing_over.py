"""Handing old clients what system conversations have said: marked for all that are asked for at once, or for none."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError

from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from messaging.models import Device
from messaging.storage import catching_up
from messaging.storage.catching_up import Absent
from tests.messaging.speaking import new_service

TOO_MANY = 2**63  # no database counts so far


def absent(device: Device, messages_max: int) -> Absent:
    """Make a client that has been away, and wants so many messages of each conversation."""
    return Absent(
        application=device.application_id,
        client_id=device.client_id,
        device=device.pk,
        generation=1,
        knows_temporary=False,
        conversations_max=10,
        unread_since_ms=None,
        messages_max=messages_max,
        patched_since_ms=None,
    )


@pytest.fixture
def known(application: Application) -> Callable[[str], Device]:
    """Make clients that have been here before, by their ids."""

    def make(client_id: str) -> Device:
        return Device.objects.create(
            application=application, client_id=client_id, identity="phone", last_seen_at="2026-01-02T03:04:05Z"
        )

    return make


async def test_what_fails_for_one_client_is_not_lost_for_another(
    application: Application, known: Callable[[str], Device]
) -> None:
    """As when the database ends the unit of work for a deadlock, and it is done again."""
    devices = [await in_database(known, name) for name in ("anna", "ben")]
    service = await new_service(application)
    await service.broadcast("for all")

    failing = [absent(devices[0], 20), absent(devices[1], TOO_MANY)]
    with pytest.raises((DatabaseError, OverflowError)):
        await in_database(catching_up.missed_by, failing, now_ms=identifiers.now_ms())

    again = await in_database(
        catching_up.missed_by, [absent(device, 20) for device in devices], now_ms=identifiers.now_ms()
    )
    assert [[message.body.text for message in missed.messages] for missed in again] == [["for all"]] * 2
