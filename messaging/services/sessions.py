"""Signing in: from credentials to a device and its session token, and who must leave for it.

A token is signed with the application's master key and names a device, a generation of its tokens and an expiry. The
rest of what a re-open may leave out is in the device's row.

Of the devices with one tag one is on line (docs/adr/0014). An open writes that its device is signed in, is found on
the presence table under the device's name, and looks at the others only then (`claim_tag`): so of two that come at the
same time at least one sees the other, on whatever node.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings as operator
from django.core import signing

from imcore import identifiers, limits
from imcore.appsettings import ApplicationSnapshot
from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.capabilities import ASSUMED
from imcore.delivery import router
from imcore.delivery.node import node
from imcore.delivery.presence import device as device_name
from imcore.errors import ImError, KickedByApp, SessionConflict, SessionRequired, SessionTokenExpired, SignatureFailed
from imcore.session_tokens import session_tokens_verified_by
from imcore.signatures import Signature, is_valid, login
from messaging.events import SessionsEnded
from messaging.models import DeviceState, MessagingSettings
from messaging.storage import devices
from messaging.storage.devices import KnownDevice, Return, SignedInDevice, TagHolders

NO_TAG = "default"  # realtime-protocol 4.1.2: the same as none
_TEXT_MAX = 64
_USER_AGENT_MAX = 200
# Tokens live a year at most, so a device not seen for longer has nothing left to remember.
FORGET_AFTER = timedelta(days=400)
FORGET_BATCH = 1000
# How much the clocks of servers may differ.
CLOCKS_APART_MS = 60_000
RETURNS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class SessionToken:
    """A session token and its life in seconds, as `st` and `stTtl`."""

    text: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The answer to a successful open. `key` tells its session from others of the device; `by_token`: how it came.

    `signed_ms`: the time of the signature that it came by, if the application wants one.
    """

    device: SignedInDevice
    token: SessionToken
    key: str
    by_token: bool
    signed_ms: int | None = None


async def open_with_token(
    *, application: ApplicationSnapshot, client_id: str, token: str, config_bitmap: int | None, now: datetime
) -> SignedIn:
    """Re-open a session with nothing but its token; tag and identity are the device's.

    Raises SessionConflict for the token of a device that was kicked, however old, SessionTokenExpired for an unknown or
    expired one, and SessionRequired for one that `session/close` has ended: 4112 would make JavaScript come back
    without any token (realtime-protocol 4.1.2).
    """
    pk, generation, is_expired = _read(application, token, now)
    device, key = None, identifiers.session_key()
    if not is_expired:
        device = await _returns.submit(Return(application.pk, client_id, pk, generation, config_bitmap, key))
    if device is None:
        known = await in_database(devices.load, application=application.pk, device=pk)
        raise _refusal(known, client_id, is_expired=is_expired)
    issued = issue_token(application=application, device=pk, generation=generation, now=now)
    return SignedIn(device, issued, key, by_token=True)


async def open_session(
    *,
    application: ApplicationSnapshot,
    client_id: str,
    identity: str,
    tag: str,
    config_bitmap: int | None,
    user_agent: str,
    signature: Signature,
    signed_client_id: str,
    is_return: bool,
    now: datetime,
) -> SignedIn:
    """Sign a client in from a device: `identity` is its deviceId, else its deviceToken, else empty.

    Raises SignatureFailed where the application wants signatures and this is none of its own, or an old one, or from
    before it signed the client out; and SessionConflict for a device that was kicked and wants to go on (`is_return`,
    `r` on the wire).
    """
    signed_ms = None
    if application.of(MessagingSettings).sign_login:
        _check_signature(application, signature, signed_client_id, now)
        signed_ms = signature.at_ms
        await _check_not_signed_out(application, client_id, signed_ms)
    key = identifiers.session_key()
    device = await in_database(
        devices.sign_in,
        application=application.pk,
        client_id=client_id,
        identity=_short(identity) or f"unknown-{secrets.token_hex(12)}",
        tag="" if tag == NO_TAG else _short(tag),
        config_bitmap=config_bitmap,
        assumed_bitmap=ASSUMED,
        user_agent=user_agent.replace("\0", "")[:_USER_AGENT_MAX],
        session_key=key,
        even_if_kicked=not is_return,
        at=now,
    )
    if device is None:
        raise SessionConflict("This device was signed out by another one.")
    token = issue_token(application=application, device=device.pk, generation=device.generation, now=now)
    return SignedIn(device, token, key, by_token=False, signed_ms=signed_ms)


async def check_signature(*, application: ApplicationSnapshot, client_id: str, signed_in: SignedIn) -> None:
    """Raise SignatureFailed for who came by a signature and was signed out by its application meanwhile.

    Asked once the new session is on the presence table, so that who signs it out later finds it.
    """
    if signed_in.signed_ms is not None:
        await _check_not_signed_out(application, client_id, signed_in.signed_ms)


async def claim_tag(
    *, application: ApplicationSnapshot, client_id: str, signed_in: SignedIn, is_return: bool
) -> Sequence[int]:
    """Settle which device with a tag is on line, once the new session is on the presence table.

    A log-in evicts the others, and the answer is which (`tell_evicted`). A return gives way to one that is on line
    (realtime-protocol 4.1.2). Raises SessionConflict to who must not stay; or what else has ended its device meanwhile.
    """
    device = signed_in.device
    if not device.tag:
        return ()
    evicts = not is_return or application.of(MessagingSettings).reopen_evicts
    look: Callable[..., TagHolders] = devices.evict_others if evicts else devices.holders
    found = await in_database(
        look,
        application=application.pk,
        client_id=client_id,
        tag=device.tag,
        device=device.pk,
        generation=device.generation,
    )
    if not found.is_signed_in:
        raise _refusal(found.itself, client_id)
    if evicts:
        return found.others
    names = {device_name(pk): pk for pk in found.others}
    rivals = [names[name] for name in await node.presence.online(application.pk, list(names))]
    if rivals:
        await _give_way(signed_in, rivals)
    return ()


async def ended(*, application: int, client_id: str, device: int) -> ImError:
    """Return what has ended a device since it signed in, as its client is to be told (4.1.2)."""
    known = await in_database(devices.load, application=application, device=device)
    if known is not None and known.state == DeviceState.SIGNED_OUT:
        return KickedByApp()
    return _refusal(known, client_id)


def tell_evicted(*, application: int, evicted: Sequence[int]) -> None:
    """Tell the sessions of evicted devices, on whatever node, and end them; their connections go on."""
    if evicted:
        to = tuple(map(device_name, evicted))
        router.publish(application, SessionsEnded(to=to, code=SessionConflict.code, reason=SessionConflict.reason))


async def kick(*, application: int, client_id: str, reason: str) -> None:
    """Sign a client out of all its devices on behalf of its application; `reason` is told to it (4.1.2).

    Its tokens are void, and so are its login signatures up to now. It may sign in anew, as anybody may: SDKs are told
    4112 when they come back with a token.
    """
    await in_database(devices.sign_out, application=application, client_id=client_id, now_ms=identifiers.now_ms())
    event = SessionsEnded(to=(client_id,), code=KickedByApp.code, reason=KickedByApp.reason, detail=reason)
    router.publish(application, event)


def issue_token(*, application: ApplicationSnapshot, device: int, generation: int, now: datetime) -> SessionToken:
    """Make a session token for a device. Earlier ones stay valid until they expire."""
    ttl_seconds = application.of(MessagingSettings).session_token_seconds
    expires_ms = int((now.timestamp() + ttl_seconds) * 1000)
    return SessionToken(_signer(application).sign_object([device, generation, expires_ms]), ttl_seconds)


@session_tokens_verified_by
async def verify_token(*, application: ApplicationSnapshot, client_id: str, token: str) -> None:
    """Let a client in over HTTP by its session token (rest-api 2.5). Raises SessionTokenExpired.

    Also for one that `session/close` has ended: Objective-C asks for a new token then, and is refused there.
    """
    pk, generation, is_expired = _read(application, token, datetime.now(UTC))
    if is_expired:
        raise SessionTokenExpired
    known = await in_database(devices.load, application=application.pk, device=pk)
    if known != KnownDevice(client_id, DeviceState.SIGNED_IN, generation):
        raise SessionTokenExpired


async def close(*, device: int) -> None:
    """Sign a device out: every token it has is void, and nothing is said in its client's name."""
    await in_database(devices.close, device=device)


async def forget_devices(*, now: datetime) -> int:
    """Delete devices that were not seen for over a year, a bounded batch at a time; return how many there were."""
    total = 0
    while deleted := await in_database(devices.forget, seen_before=now - FORGET_AFTER, limit=FORGET_BATCH):
        total += deleted
    return total


async def forget_kicks(*, now_ms: int) -> int:
    """Delete notes of kicks than which no valid signature is older, a bounded batch at a time; return how many."""
    before_ms = now_ms - limits.SIGNATURE_TOLERANCE_SECONDS * 1000 - CLOCKS_APART_MS
    total = 0
    while deleted := await in_database(devices.forget_kicks, before_ms=before_ms, limit=FORGET_BATCH):
        total += deleted
    return total


async def _give_way(signed_in: SignedIn, rivals: Sequence[int]) -> None:
    must_go = await in_database(
        devices.give_way,
        device=signed_in.device.pk,
        session_key=signed_in.key,
        rivals=rivals,
        by_token=signed_in.by_token,
    )
    if must_go:
        raise SessionConflict("Another device is signed in with this tag.")


async def _come_back(returns: Sequence[Return]) -> list[SignedInDevice | None]:
    """Note returns, many at once: everybody comes back when a server was lost."""
    first = {one.device: one for one in reversed(returns)}
    found = await in_database(devices.come_back, list(first.values()), at=datetime.now(UTC))
    signed_in = dict(zip(first.values(), found, strict=True))
    # A device that comes twice at once comes in turn, so that its later session has the last word.
    for again in returns:
        if again not in signed_in:
            [signed_in[again]] = await in_database(devices.come_back, [again], at=datetime.now(UTC))
    return [signed_in[one] for one in returns]


def _check_signature(application: ApplicationSnapshot, signature: Signature, client_id: str, now: datetime) -> None:
    claim = login(application.app_id, client_id)
    now_ms = int(now.timestamp() * 1000)
    if not is_valid(signature, [claim], master_key=application.master_key, now_ms=now_ms):
        raise SignatureFailed


async def _check_not_signed_out(application: ApplicationSnapshot, client_id: str, signed_ms: int) -> None:
    """Raise SignatureFailed for a signature from before its application has signed the client out (9)."""
    if await in_database(devices.was_signed_out, application=application.pk, client_id=client_id, after_ms=signed_ms):
        raise SignatureFailed


def _signer(application: ApplicationSnapshot) -> signing.Signer:
    return signing.Signer(key=application.master_key, salt="imcore.session-token")


def _read(application: ApplicationSnapshot, token: str, now: datetime) -> tuple[int, int, bool]:
    """Return the device and generation that a token names, and whether its time is over."""
    try:
        device, generation, expires_ms = _signer(application).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise SessionTokenExpired from error
    return device, generation, datetime.fromtimestamp(expires_ms / 1000, UTC) <= now


def _refusal(known: KnownDevice | None, client_id: str, *, is_expired: bool = False) -> ImError:
    """Return why a device cannot go on with what it has."""
    if known is None or known.client_id != client_id:
        return SessionTokenExpired()
    if known.state == DeviceState.KICKED:
        return SessionConflict("This device was signed out by another one.")
    if is_expired or known.state == DeviceState.SIGNED_OUT:
        return SessionTokenExpired()
    return SessionRequired("The session was closed.")


_returns: Batcher[Return, SignedInDevice | None] = Batcher(
    _come_back, size=RETURNS_AT_ONCE, backlog=operator.STORE_BACKLOG, name="returns"
)


def _short(text: str) -> str:
    """Return a text that fits its column: as it is, or its digest."""
    if len(text) <= _TEXT_MAX and "\0" not in text:
        return text
    return hashlib.sha256(text.encode()).hexdigest()
