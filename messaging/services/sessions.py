"""Signing in: from credentials to a device and its session token.

A token is signed with the application's master key and names a device, a generation of its tokens and an expiry. The
rest of what a re-open may leave out is in the device's row.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core import signing

from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import in_database
from imcore.capabilities import ASSUMED
from imcore.errors import SessionRequired, SessionTokenExpired, SignatureFailed
from imcore.session_tokens import session_tokens_verified_by
from imcore.signatures import Signature, is_valid, login
from messaging.models import DeviceState, MessagingSettings
from messaging.storage import devices
from messaging.storage.devices import SignedInDevice

NO_TAG = "default"  # realtime-protocol 4.1.2: the same as none
_TEXT_MAX = 64
_USER_AGENT_MAX = 200
# Tokens live a year at most, so a device not seen for longer has nothing left to remember.
FORGET_AFTER = timedelta(days=400)
FORGET_BATCH = 1000


@dataclass(frozen=True, slots=True)
class SessionToken:
    """A session token and its life in seconds, as `st` and `stTtl`."""

    text: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The answer to a successful open."""

    device: SignedInDevice
    token: SessionToken


async def open_with_token(
    *, application: ApplicationSnapshot, client_id: str, token: str, config_bitmap: int | None, now: datetime
) -> SignedIn:
    """Re-open a session with nothing but its token; tag and identity are the device's.

    Raises SessionTokenExpired for an unknown or expired token, SessionRequired for one that `session/close` has ended:
    4112 would make JavaScript come back without any token (realtime-protocol 4.1.2).
    """
    pk, generation = _read(application, token, now)
    known = await in_database(devices.load, application=application.pk, device=pk)
    if known is None or known.client_id != client_id:
        raise SessionTokenExpired
    if known.state == DeviceState.CLOSED or known.device.generation != generation:
        raise SessionRequired("The session was closed.")
    bitmap = known.device.config_bitmap if config_bitmap is None else config_bitmap
    await in_database(devices.come_back, device=pk, config_bitmap=bitmap, at=now)
    device = SignedInDevice(pk, generation, known.device.tag, bitmap)
    return SignedIn(device, issue_token(application=application, device=pk, generation=generation, now=now))


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
    now: datetime,
) -> SignedIn:
    """Sign a client in from a device: `identity` is its deviceId, else its deviceToken, else empty.

    Raises SignatureFailed where the application wants signatures and this is none of its own, or an old one.
    """
    if application.of(MessagingSettings).sign_login:
        _check_signature(application, signature, signed_client_id, now)
    device = await in_database(
        devices.sign_in,
        application=application.pk,
        client_id=client_id,
        identity=_short(identity) or f"unknown-{secrets.token_hex(12)}",
        tag="" if tag == NO_TAG else _short(tag),
        config_bitmap=config_bitmap,
        assumed_bitmap=ASSUMED,
        user_agent=user_agent.replace("\0", "")[:_USER_AGENT_MAX],
        at=now,
    )
    token = issue_token(application=application, device=device.pk, generation=device.generation, now=now)
    return SignedIn(device, token)


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
    pk, generation = _read(application, token, datetime.now(UTC))
    known = await in_database(devices.load, application=application.pk, device=pk)
    if known is None or known.client_id != client_id:
        raise SessionTokenExpired
    if known.state == DeviceState.CLOSED or known.device.generation != generation:
        raise SessionTokenExpired


async def close(*, device: int) -> None:
    """Sign a device out: every token it has is void."""
    await in_database(devices.close, device=device)


async def forget_devices(*, now: datetime) -> int:
    """Delete devices that were not seen for over a year, a bounded batch at a time; return how many there were."""
    total = 0
    while deleted := await in_database(devices.forget, seen_before=now - FORGET_AFTER, limit=FORGET_BATCH):
        total += deleted
    return total


def _check_signature(application: ApplicationSnapshot, signature: Signature, client_id: str, now: datetime) -> None:
    claim = login(application.app_id, client_id)
    now_ms = int(now.timestamp() * 1000)
    if not is_valid(signature, [claim], master_key=application.master_key, now_ms=now_ms):
        raise SignatureFailed


def _signer(application: ApplicationSnapshot) -> signing.Signer:
    return signing.Signer(key=application.master_key, salt="imcore.session-token")


def _read(application: ApplicationSnapshot, token: str, now: datetime) -> tuple[int, int]:
    try:
        device, generation, expires_ms = _signer(application).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise SessionTokenExpired from error
    if datetime.fromtimestamp(expires_ms / 1000, UTC) <= now:
        raise SessionTokenExpired
    return device, generation


def _short(text: str) -> str:
    """Return a text that fits its column: as it is, or its digest."""
    if len(text) <= _TEXT_MAX and "\0" not in text:
        return text
    return hashlib.sha256(text.encode()).hexdigest()
