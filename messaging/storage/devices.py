"""Devices: the record behind every session token, and who of those with one tag may be signed in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet

from imcore.rows import given
from messaging.models import Device, DeviceState, Kick, Will

_FOUND = "RETURNING id, generation, tag, config_bitmap"

_SIGN_IN = f"""
INSERT INTO messaging_device
  (application_id, client_id, identity, tag, config_bitmap, state, generation, user_agent, session_key, first_seen_at,
   last_seen_at)
VALUES (%s, %s, %s, %s, %s, %s, 1, %s, %s, %s, %s)
ON CONFLICT (application_id, client_id, identity) DO UPDATE SET
  tag = excluded.tag,
  config_bitmap = CASE WHEN %s THEN excluded.config_bitmap ELSE messaging_device.config_bitmap END,
  state = excluded.state,
  user_agent = CASE WHEN excluded.user_agent <> '' THEN excluded.user_agent ELSE messaging_device.user_agent END,
  session_key = excluded.session_key,
  last_seen_at = excluded.last_seen_at
WHERE messaging_device.state <> %s
{_FOUND}
"""  # noqa: S608 - a constant

_COME_BACK = f"""
WITH returns (application, client, device, token_generation, bitmap, key) AS ({{given}})
UPDATE messaging_device
SET config_bitmap = COALESCE(returns.bitmap, config_bitmap), session_key = returns.key, last_seen_at = %s
FROM returns
WHERE id = returns.device AND application_id = returns.application AND client_id = returns.client
  AND generation = returns.token_generation AND state = %s
{_FOUND}
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class SignedInDevice:
    """A device whose client is signed in: its number, the generation of its tokens, and what it declared."""

    pk: int
    generation: int
    tag: str
    config_bitmap: int


class Return(NamedTuple):
    """A device that comes back with a token of a generation. `config_bitmap` None: the one it declared last stands."""

    application: int
    client_id: str
    device: int
    generation: int
    config_bitmap: int | None
    session_key: str


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """What is known of a device when it, or its token, turns up."""

    client_id: str
    state: DeviceState
    generation: int


@dataclass(frozen=True, slots=True)
class TagHolders:
    """A device as it is now (None: forgotten), and the others of its client that are signed in with its tag.

    `is_signed_in`: with the generation that was asked for.
    """

    itself: KnownDevice | None
    is_signed_in: bool
    others: tuple[int, ...]


def sign_in(
    *,
    application: int,
    client_id: str,
    identity: str,
    tag: str,
    config_bitmap: int | None,
    assumed_bitmap: int,
    user_agent: str,
    session_key: str,
    even_if_kicked: bool,
    at: datetime,
) -> SignedInDevice | None:
    """Note that a client signs in from a device, new or known. Without a bitmap the one last declared stands.

    None if the device was kicked, unless it may sign in `even_if_kicked`.
    """
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
                session_key,
                at,
                at,
                config_bitmap is not None,
                "" if even_if_kicked else DeviceState.KICKED.value,
            ],
        )
        row = cursor.fetchone()
    return None if row is None else SignedInDevice(*row)


@transaction.atomic
def come_back(returns: Sequence[Return], *, at: datetime) -> list[SignedInDevice | None]:
    """Note that devices, each once, re-opened their sessions with a token; None for each whose token is void."""
    if connection.vendor == "postgresql" and len(returns) > 1:
        list(_in_order(Device.objects.filter(pk__in=[one.device for one in returns])).values_list("pk"))
    rows, parameters = given(returns, "bigint", "text", "bigint", "bigint", "bigint", "text")
    with connection.cursor() as cursor:
        cursor.execute(_COME_BACK.format(given=rows), [*parameters, at, DeviceState.SIGNED_IN.value])
        found = {row[0]: SignedInDevice(*row) for row in cursor.fetchall()}
    return [found.get(one.device) for one in returns]


def load(*, application: int, device: int) -> KnownDevice | None:
    """Return a device by its number, or None."""
    return _known(Device.objects.filter(application_id=application, pk=device).first())


def holders(*, application: int, client_id: str, tag: str, device: int, generation: int) -> TagHolders:
    """Return who is signed in with a device's tag."""
    return _holders(_of_tag(application, client_id, tag, device), device, generation)


@transaction.atomic
def evict_others(*, application: int, client_id: str, tag: str, device: int, generation: int) -> TagHolders:
    """Make a device the only one that is signed in with its tag; its `others` were that, and are kicked now.

    Nothing happens if the device itself is not signed in any more: of two that come at once, one kicks the other.
    """
    found = _holders(_in_order(_of_tag(application, client_id, tag, device)), device, generation)
    if not found.is_signed_in:
        return replace(found, others=())
    if found.others:
        Device.objects.filter(pk__in=found.others).update(state=DeviceState.KICKED, generation=F("generation") + 1)
    return found


@transaction.atomic
def give_way(*, device: int, session_key: str, rivals: Sequence[int], by_token: bool) -> bool:
    """Take back that a device is signed in, in favour of others that are; return whether it was.

    It was not if none of them is there any more: of two that come at once and find each other, the first to get here
    gives way to the second. Who came by a token stays as it was before.
    """
    locked = {row.pk: row for row in _in_order(Device.objects.filter(pk__in=[device, *rivals]))}
    # Who gave way has no session.
    if not any(row.session_key and row.state == DeviceState.SIGNED_IN for pk, row in locked.items() if pk != device):
        return False
    Device.objects.filter(pk=device, session_key=session_key, state=DeviceState.SIGNED_IN).update(
        session_key="", state=DeviceState.SIGNED_IN if by_token else DeviceState.CLOSED
    )
    return True


@transaction.atomic
def close(*, device: int) -> None:
    """Void every token of a device, and the will that was left on it."""
    Device.objects.filter(pk=device).update(state=DeviceState.CLOSED, generation=F("generation") + 1)
    Will.objects.filter(device=device).delete()


@transaction.atomic
def sign_out(*, application: int, client_id: str, now_ms: int) -> None:
    """Void every token of a client, and every login signature from before `now_ms`.

    Tokens that were void already stay so for the reason they were.
    """
    kick = Kick(application_id=application, client_id=client_id, kicked_ms=now_ms)
    Kick.objects.bulk_create(
        [kick], update_conflicts=True, unique_fields=["application", "client_id"], update_fields=["kicked_ms"]
    )
    devices = Device.objects.filter(application=application, client_id=client_id, state=DeviceState.SIGNED_IN)
    signed_in = [row.pk for row in _in_order(devices)]
    Device.objects.filter(pk__in=signed_in).update(state=DeviceState.SIGNED_OUT, generation=F("generation") + 1)


def was_signed_out(*, application: int, client_id: str, after_ms: int) -> bool:
    """Return whether a client was signed out by its application after a time, which may be as old as signatures get."""
    return Kick.objects.filter(application=application, client_id=client_id, kicked_ms__gt=after_ms).exists()


def clients_since(*, application: int, since: datetime) -> int:
    """Return how many clients of an application have signed in, or come back, since a time."""
    devices = Device.objects.filter(application=application, last_seen_at__gte=since)
    found: int = devices.aggregate(clients=Count("client_id", distinct=True))["clients"]
    return found


def forget_kicks(*, before_ms: int, limit: int) -> int:
    """Delete up to `limit` notes of kicks before a time; return how many there were."""
    ids = list(Kick.objects.filter(kicked_ms__lt=before_ms).order_by("kicked_ms").values_list("id", flat=True)[:limit])
    Kick.objects.filter(id__in=ids, kicked_ms__lt=before_ms).delete()
    return len(ids)


def forget(*, seen_before: datetime, limit: int) -> int:
    """Delete up to `limit` devices not seen since; return how many there were."""
    ids = list(
        Device.objects.filter(last_seen_at__lt=seen_before)
        .order_by("last_seen_at")
        .values_list("id", flat=True)[:limit]
    )
    Device.objects.filter(id__in=ids).delete()
    return len(ids)


def _known(row: Device | None) -> KnownDevice | None:
    return None if row is None else KnownDevice(row.client_id, DeviceState(row.state), row.generation)


def _of_tag(application: int, client_id: str, tag: str, device: int) -> QuerySet[Device]:
    """Return a device, whatever has become of it, and those that are signed in with its tag."""
    return Device.objects.filter(
        Q(pk=device) | Q(tag=tag, state=DeviceState.SIGNED_IN), application=application, client_id=client_id
    )


def _in_order(devices: QuerySet[Device]) -> QuerySet[Device]:
    """Lock devices in one order, so that no two transactions wait for each other."""
    return devices.select_for_update().order_by("pk")


def _holders(devices: QuerySet[Device], device: int, generation: int) -> TagHolders:
    found = {row.pk: row for row in devices}
    itself = _known(found.pop(device, None))
    is_signed_in = itself is not None and (itself.state, itself.generation) == (DeviceState.SIGNED_IN, generation)
    return TagHolders(itself, is_signed_in, tuple(found))
