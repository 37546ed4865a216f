"""What a request makes of a user's columns (rest-api 5.1, 10.2).

A request may name any column as the wire knows it, with operators and dotted keys; so a profile is written as one
object, changed as attributes are, and read back. What is wrong with it is told by the codes of rest-api 4.1.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from imcore import limits
from imcore.accounts.errors import (
    InvalidAcl,
    InvalidEmail,
    InvalidPhone,
    InvalidUsername,
    ThirdPartyIdMissing,
    ThirdPartyRefused,
    UsernameMissing,
)
from imcore.accounts.records import Link, Profile
from imcore.attributes import UnfitAttributes, applied, check_storable, path_of
from imcore.objects import InvalidKey, InvalidType, ReadOnlyKey, check_key, error_of

Json = Any
NOBODY: Final = Profile(
    username="",
    email=None,
    is_email_verified=False,
    phone=None,
    is_phone_verified=False,
    acl=None,
    auth_data={},
    attributes={},
)
ANONYMOUS: Final = "anonymous"

# Wire name → name in Profile.
_COLUMNS: Final[Mapping[str, str]] = {
    "username": "username",
    "email": "email",
    "emailVerified": "is_email_verified",
    "mobilePhoneNumber": "phone",
    "mobilePhoneVerified": "is_phone_verified",
    "ACL": "acl",
    "authData": "auth_data",
}
_VERIFIED: Final = {"emailVerified": "email", "mobilePhoneVerified": "mobilePhoneNumber"}
# What SDKs send along and the server writes itself; a password is read before.
_PASSED_OVER: Final = frozenset(
    {"objectId", "createdAt", "updatedAt", "sessionToken", "className", "password", "salt", "smsCode"}
)
_EMAIL = re.compile(r"[^@\s\0]{1,64}@[^@\s\0]+\.[^@\s\0.]+")
_PHONE = re.compile(r"\+?[0-9]{4,20}", re.ASCII)
# Where the platforms have what tells their accounts apart.
_UIDS: Final = ("openid", "uid", "id")


def columns_in(asked: Mapping[str, Json]) -> dict[str, Json]:
    """Return what a request asks of columns that clients may write, `password` not among them.

    JavaScript sends the one platform of `authData` that it links, so each is a wish of its own.
    """
    wanted: dict[str, Json] = {}
    for key, value in asked.items():
        if key == "authData" and isinstance(value, dict) and "__op" not in value:
            wanted |= {f"authData.{platform}": data for platform, data in value.items()}
        elif key.partition(".")[0] not in _PASSED_OVER and not key.startswith("__"):
            wanted[key] = value
    return wanted


def changed(before: Profile, asked: Mapping[str, Json], *, by_master: bool) -> Profile:
    """Return a profile as a request makes it; `asked` is what `columns_in` returned.

    Raises an error of rest-api 4.1: InvalidKey, InvalidType, ObjectTooLarge, ReadOnlyKey, InvalidAcl, InvalidEmail,
    InvalidPhone, UsernameMissing, InvalidUsername, ThirdPartyIdMissing.
    """
    for key in asked:
        _check_key(key, by_master=by_master)
    document = _document(before)
    try:
        check_storable(asked, max_bytes=limits.USER_MAX_BYTES)
        after = applied(document, {path_of(key): value for key, value in asked.items()})
        check_storable(after, max_bytes=limits.USER_MAX_BYTES)
    except UnfitAttributes as unfit:
        raise error_of(unfit) from unfit
    for verified, column in _VERIFIED.items():
        # Whoever writes an address or a number anew has yet to show that it is his.
        if verified not in asked and after.get(column) != document.get(column):
            after[verified] = False
    return _read(after, before)


def links(profile: Profile) -> list[Link]:
    """Return the accounts elsewhere of a profile. Raises ThirdPartyIdMissing."""
    return [(platform, _uid(data)) for platform, data in profile.auth_data.items()]


def check_trusted(before: Profile, after: Profile, *, trusts_clients: bool) -> None:
    """Raise ThirdPartyRefused if a client links an account that nobody vouches for.

    An anonymous account's id is a secret that the device itself has made up.
    """
    if trusts_clients:
        return
    if any(
        platform != ANONYMOUS and before.auth_data.get(platform) != data for platform, data in after.auth_data.items()
    ):
        raise ThirdPartyRefused


def wire_columns(profile: Profile) -> dict[str, Json]:
    """Return a profile as the wire writes it; what a user does not have is not there."""
    document = _document(profile)
    if not document["authData"]:
        del document["authData"]
    return {key: value for key, value in document.items() if value is not None or key not in _COLUMNS}


def _document(profile: Profile) -> dict[str, Json]:
    return {**profile.attributes, **{key: getattr(profile, name) for key, name in _COLUMNS.items()}}


def _check_key(key: str, *, by_master: bool) -> None:
    top = check_key(key)
    if top in _VERIFIED and not by_master:
        raise ReadOnlyKey(top)


def _read(document: Mapping[str, Json], before: Profile) -> Profile:
    known = {name: document.get(key) for key, name in _COLUMNS.items()}
    auth_data = known["auth_data"] or {}
    if not isinstance(auth_data, dict):
        raise InvalidType("authData")
    return Profile(
        username=known["username"] if known["username"] == before.username != "" else _username(known["username"]),
        email=_matching(_EMAIL, known["email"], before.email, limits.EMAIL_MAX_CHARACTERS, InvalidEmail),
        is_email_verified=_boolean("emailVerified", known["is_email_verified"]),
        phone=_matching(_PHONE, known["phone"], before.phone, limits.PHONE_MAX_CHARACTERS, InvalidPhone),
        is_phone_verified=_boolean("mobilePhoneVerified", known["is_phone_verified"]),
        acl=_acl(known["acl"]),
        # A platform's null unlinks it.
        auth_data={platform: _third_party(platform, data) for platform, data in auth_data.items() if data is not None},
        attributes={key: value for key, value in document.items() if key not in _COLUMNS},
    )


def _username(value: Json) -> str:
    if value is None or value == "":
        raise UsernameMissing
    if not isinstance(value, str):
        raise InvalidType("username")
    if not value.strip() or "\0" in value or len(value) > limits.USERNAME_MAX_CHARACTERS:
        raise InvalidUsername
    return value


def _matching(
    pattern: re.Pattern[str],
    value: Json,
    before: str | None,
    longest: int,
    error: type[InvalidEmail | InvalidPhone],
) -> str | None:
    """Return a text that fits; what was stored before was let in once, by an import for instance."""
    if value is None or value == before:
        return None if value is None else before
    if not isinstance(value, str) or len(value) > longest or not pattern.fullmatch(value):
        raise error
    return value


def _boolean(key: str, value: Json) -> bool:
    if not isinstance(value, bool):
        raise InvalidType(key)
    return value


def _acl(value: Json) -> dict[str, Json] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(_are_rights(rights) for rights in value.values()):
        raise InvalidAcl
    return value


def _are_rights(rights: Json) -> bool:
    return (
        isinstance(rights, dict)
        and rights.keys() <= {"read", "write"}
        and all(isinstance(right, bool) for right in rights.values())
    )


def _third_party(platform: str, data: Json) -> dict[str, Json]:
    if len(platform) > limits.PLATFORM_MAX_CHARACTERS:
        raise InvalidKey("authData")
    if not isinstance(data, dict):
        raise InvalidType("authData")
    _uid(data)
    return data


def _uid(data: Mapping[str, Json]) -> str:
    found = (data.get(key) for key in _UIDS)
    uid = next((str(one) for one in found if isinstance(one, str | int) and one != ""), "")
    if not uid or len(uid) > limits.PLATFORM_UID_MAX_CHARACTERS:
        raise ThirdPartyIdMissing
    return uid
