"""Users as the wire writes them (rest-api 10.2)."""

from typing import Any

from imcore.accounts.records import Account
from imcore.accounts.services import profiles
from imcore.accounts.services.logging_in import LoggedIn
from imcore.identifiers import iso_date
from imcore.rest.openapi import DATE, STRING, record

# Nobody else's business, but the user's own and the developer's.
PRIVATE = frozenset({"email", "emailVerified", "mobilePhoneNumber", "mobilePhoneVerified", "authData"})

SESSION = record(objectId=STRING, username=STRING, createdAt=DATE, updatedAt=DATE, sessionToken=STRING)


def user(account: Account, *, with_private: bool, with_acl: bool = False) -> dict[str, Any]:
    """Return a user; the password is in no answer."""
    columns = profiles.wire_columns(account.profile)
    hidden = (frozenset() if with_private else PRIVATE) | (frozenset() if with_acl else {"ACL"})
    return {
        **{key: value for key, value in columns.items() if key not in hidden},
        "objectId": account.object_id,
        "createdAt": iso_date(account.created_ms),
        "updatedAt": iso_date(account.updated_ms),
    }


def session(logged_in: LoggedIn) -> dict[str, Any]:
    """Return a user to himself, with his session token."""
    return {**user(logged_in.account, with_private=True), "sessionToken": logged_in.token}
