"""Devices: the record behind every session token."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import F

from messaging.models import Device, DeviceState

_SIGN_IN = """
INSERT INTO messaging_device
  (application_id, client_id, identity, tag, config_bitmap, state, generation, user_agent, first_seen_at, last_seen_at)
VALUES (%s, %s, %s, %s, %s, %s, 1, %s, %s, %s)
ON CONFLICT (application_id, client_id, identity) DO UPDATE SET
  tag = excluded.tag,
  config_bitmap = CASE WHEN %s THEN excluded.config_bitmap ELSE messaging_device.config_bitmap END,
  state = excluded.state,
  user_agent = CASE WHEN excluded.user_agent <> '' THEN excluded.user_agent ELSE messaging_device.user_agent END,
  last_seen_at = excluded.last_seen_at
RETURNING id, generation, config_bitmap
"""


@dataclass(frozen=True, slots=True)
class SignedInDevice:
    """A device whose client is signed in: its number, the generation of its tokens, and what it declared."""

    pk: int
    generation: int
    tag: str
    config_bitmap: int


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device as a token's check finds it."""

    client_id: str
    state: DeviceState
    device: SignedInDevice


def sign_in(
    *,
    application: int,
    client_id: str,
    identity: str,
    tag: str,
    config_bitmap: int | None,
    assumed_bitmap: int,
    user_agent: str,
    at: datetime,
) -> SignedInDevice:
    """Note that a client signs in from a device, new or known. Without a bitmap the one last declared stands."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SIGN_IN,
            [
                application,
                client_id,
                identity,
                tag,
                assumed_bitmap if config_bitmap is None else config_bitmap,
                DeviceState.SIGNED_IN.value,
                user_agent,
                at,
                at,
                config_bitmap is not None,
            ],
        )
        pk, generation, bitmap = cursor.fetchone()
    return SignedInDevice(pk, generation, tag, bitmap)


def load(*, application: int, device: int) -> KnownDevice | None:
    """Return a device by its number, or None."""
    row = Device.objects.filter(application_id=application, pk=device).first()
    if row is None:
        return None
    signed_in = SignedInDevice(row.pk, row.generation, row.tag, row.config_bitmap)
    return KnownDevice(row.client_id, DeviceState(row.state), signed_in)


def come_back(*, device: int, config_bitmap: int, at: datetime) -> None:
    """Note that a device re-opened its session with a token."""
    Device.objects.filter(pk=device).update(config_bitmap=config_bitmap, last_seen_at=at)


def close(*, device: int) -> None:
    """Void every token of a device."""
    Device.objects.filter(pk=device).update(state=DeviceState.CLOSED, generation=F("generation") + 1)


def forget(*, seen_before: datetime, limit: int) -> int:
    """Delete up to `limit` devices not seen since; return how many there were."""
    ids = list(
        Device.objects.filter(last_seen_at__lt=seen_before)
        .order_by("last_seen_at")
        .values_list("id", flat=True)[:limit]
    )
    Device.objects.filter(id__in=ids).delete()
    return len(ids)
