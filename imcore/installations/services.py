"""What a device may say of itself, and who can ask for it (rest-api 10.3).

A request may name any column as the wire knows it, with operators and dotted keys; so an installation is written as one
object, changed as attributes are, and read back.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from imcore import identifiers, limits
from imcore.appsettings import stored_applications
from imcore.attributes import UnfitAttributes, applied, check_storable, path_of
from imcore.bridge import in_database
from imcore.identifiers import DAY_MS
from imcore.installations import storage
from imcore.installations.errors import InvalidChannel, InvalidDeviceToken
from imcore.installations.models import InstallationSettings
from imcore.installations.storage import Device, InstallationInfo, Known
from imcore.objects import InvalidType, check_key, error_of
from imcore.writes import Rows, Write

Json = Any
FORGET_BATCH = 500

# Wire name → name in Device.
TEXTS: Final[Mapping[str, str]] = {
    "installationId": "installation_id",
    "deviceToken": "device_token",
    "deviceType": "device_type",
    "deviceProfile": "device_profile",
    "apnsTopic": "apns_topic",
    "apnsTeamId": "apns_team_id",
    "timeZone": "time_zone",
    "vendor": "vendor",
    "registrationId": "registration_id",
}
# What SDKs send along and the server writes itself.
PASSED_OVER: Final = frozenset({"objectId", "createdAt", "updatedAt", "className"})
APPLE: Final = frozenset({"ios", "macos", "tvos", "watchos"})
LONG: Final = frozenset({"deviceToken", "registrationId"})

# rest-api 10.3: letters, digits, `_`, `-`, `=`, and Chinese, Japanese and Korean characters.
_CHANNEL = re.compile(r"[A-Za-z0-9_\-=\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_OBJECT_ID = re.compile(rf"[A-Za-z0-9]{{1,{limits.OBJECT_ID_MAX_CHARACTERS}}}", re.ASCII)
# 32 bytes so far; Apple says that they may become more.
_APPLE_TOKEN = re.compile(r"[0-9A-Fa-f]{64,200}", re.ASCII)
_TOKEN = re.compile(r"[^\s\0]+")


def saving(
    *, application: int, object_id: str | None, columns: Mapping[str, Json], now_ms: int
) -> Write[InstallationInfo]:
    """Prepare an installation that says this of itself: the one with the id, or else the one that it is already.

    Without an id it is known by its `objectId`, `installationId` or `deviceToken`, in this order, since SDKs send the
    whole again and again; or it is a new one. Raises, once stored too, InvalidKey, InvalidType, InvalidChannel,
    InvalidDeviceToken, ObjectTooLarge, TakenInstallationId; ClassUnknown for an id that there is not.
    """
    given = columns.get("objectId")
    claimed = given if isinstance(given, str) and _OBJECT_ID.fullmatch(given) else None
    known = Known(object_id, None, None) if object_id is not None else _known(claimed, columns)
    creates_as = None if object_id is not None else claimed or identifiers.object_id(now_ms)

    def store(more: Mapping[str, Json]) -> InstallationInfo:
        return storage.save(
            application=application,
            known=known,
            creates_as=creates_as,
            change=lambda before: changed(before, {**columns, **more}),
            now_ms=now_ms,
        )

    return Write(store, rows=Rows("installations", known, partial(storage.lock, application)))


def changed(before: Device, asked: Mapping[str, Json]) -> Device:
    """Return a device as a request makes it. Raises as `saving`."""
    wanted = {key: value for key, value in asked.items() if key not in PASSED_OVER and not key.startswith("__")}
    for key in wanted:
        check_key(key)
    try:
        # Before anything looks into it: it may nest deeper than that can go.
        check_storable(wanted, max_bytes=limits.INSTALLATION_MAX_BYTES)
        after = applied(wire_columns(before), {path_of(key): value for key, value in wanted.items()})
        check_storable(after, max_bytes=limits.INSTALLATION_MAX_BYTES)
    except UnfitAttributes as unfit:
        raise error_of(unfit) from unfit
    texts = {name: _text(key, after.pop(key, None)) for key, name in TEXTS.items()}
    badge, is_valid, channels = after.pop("badge", None), after.pop("valid", None), after.pop("channels", None)
    if badge is not None and not _is_integer(badge):
        raise InvalidType("badge")
    if not isinstance(is_valid, bool | None):
        raise InvalidType("valid")
    device = Device(
        **texts,
        badge=badge,
        is_valid=is_valid is not False,
        channels=_channels(channels),
        attributes=after,
    )
    _check_token(before, device)
    return device


def wire_columns(device: Device) -> dict[str, Json]:
    """Return a device as the wire writes it; what it does not say is not there."""
    texts = {key: getattr(device, name) for key, name in TEXTS.items()}
    found = {**texts, "badge": device.badge}
    return {
        **(device.attributes or {}),
        **{key: value for key, value in found.items() if value is not None},
        "valid": device.is_valid,
        "channels": list(device.channels),
    }


async def page(
    *, application: int, where_text: str, order_text: str, limit: int, skip: int, counts: bool
) -> tuple[list[InstallationInfo], int]:
    """Return installations by condition, in the order of their ids if no other is asked for, and how many match.

    Raises UnfitQuery.
    """
    return await in_database(
        storage.page,
        application=application,
        where_text=where_text,
        order_text=order_text,
        limit=limit,
        skip=skip,
        counts=counts,
    )


async def scan(
    *, application: int, where_text: str, after: str | None, is_descending: bool, limit: int
) -> list[InstallationInfo]:
    """Return the next installations in the order of their ids, those behind `after`. Raises UnfitQuery."""
    return await in_database(
        storage.scan,
        application=application,
        where_text=where_text,
        after=after,
        is_descending=is_descending,
        limit=limit,
    )


async def with_ids(*, application: int, object_ids: Sequence[str]) -> list[InstallationInfo]:
    """Return those of the installations that there are."""
    return await in_database(storage.with_ids, application=application, object_ids=object_ids)


async def delete(*, application: int, object_ids: Sequence[str]) -> None:
    """Delete installations; those that are not there do no harm."""
    await in_database(storage.delete, application=application, object_ids=object_ids)


async def forget(*, now_ms: int) -> int:
    """Delete installations that were not written for as long as their application keeps them; return how many."""
    total = 0
    for application in await in_database(stored_applications):
        days = application.of(InstallationSettings).installations_kept_days
        before_ms = now_ms - days * DAY_MS
        while days and (
            deleted := await in_database(
                storage.forget, application=application.pk, before_ms=before_ms, limit=FORGET_BATCH
            )
        ):
            total += deleted
    return total


def _known(claimed: str | None, columns: Mapping[str, Json]) -> Known:
    installation_id, token = (columns.get(key) for key in ("installationId", "deviceToken"))
    return Known(claimed, _storable(installation_id), _storable(token))


def _storable(value: Json) -> str | None:
    return value if isinstance(value, str) and value and "\0" not in value else None


def _text(key: str, value: Json) -> str | None:
    longest = limits.DEVICE_TOKEN_MAX_CHARACTERS if key in LONG else limits.INSTALLATION_TEXT_MAX_CHARACTERS
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= longest:
        return value
    raise InvalidDeviceToken if key == "deviceToken" else InvalidType(key)


def _channels(value: Json) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > limits.CHANNELS_MAX:
        raise InvalidType("channels")
    for one in value:
        if not isinstance(one, str) or len(one) > limits.CHANNEL_MAX_CHARACTERS or not _CHANNEL.fullmatch(one):
            raise InvalidChannel(str(one)[:100])
    return tuple(dict.fromkeys(value))


def _check_token(before: Device, after: Device) -> None:
    """Look at a token that is new; an imported one was let in once."""
    token = after.device_token
    if token is None or (token == before.device_token and after.device_type == before.device_type):
        return
    pattern = _APPLE_TOKEN if (after.device_type or "").lower() in APPLE else _TOKEN
    if not pattern.fullmatch(token):
        raise InvalidDeviceToken


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
