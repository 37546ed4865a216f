"""Signatures: an application's own server vouches for what its client asks (realtime-protocol 9).

HMAC-SHA1 in hexadecimal, keyed with the Master Key, over fields joined with a colon:

    login                application : client :         : timestamp : nonce
    starting             application : client : members : timestamp : nonce
    adding, removing     application : client : conversation : members : timestamp : nonce : action
    block lists          the same, with actions of their own
    history over HTTP    application : client : conversation : nonce : timestamp, or these two the other way round

A nonce may come again: clients that reconnect repeat what they sent. What makes a signature useless is its age.

Read from its other end, what was signed to remove or block `members` would be a start with the conversation among
them and `nonce:action` for a nonce. So where nothing follows the nonce, it may not end in an action. And what was
signed to start a conversation of several would be to read the history of one called as the first of them, if a nonce
for that could have a colon. (Of one called as the only member it is, whoever checks: that text is the protocol's.)
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from imcore import limits

# JavaScript up to 5.0.0-rc.4 asks for `add` and `remove`; the oldest guide has a `join` for joining oneself.
ADDING: Final = ("invite", "add")
REMOVING: Final = ("kick", "remove")
JOINING: Final = "join"
BLOCKING: Final = "conversation-block-clients"
UNBLOCKING: Final = "conversation-unblock-clients"
_ENDS_OF_ACTIONS = tuple(f":{action}" for action in (*ADDING, *REMOVING, JOINING, BLOCKING, UNBLOCKING))


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it is sent: `s`, `t` and `n` of the wire. Its timestamp is in milliseconds or in seconds."""

    digest: str
    timestamp: int
    nonce: str

    @property
    def at_ms(self) -> int:
        """Return when it was made, in milliseconds."""
        return self.timestamp * 1000 if self.timestamp < limits.SIGNATURE_SECONDS_BELOW else self.timestamp


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature may say: the fields before its timestamp, and the action after its nonce if there is one.

    `nonce_first`: the nonce is before the timestamp. `plain_nonce`: it has no colon.
    """

    fields: tuple[str, ...]
    action: str | None = None
    nonce_first: bool = False
    plain_nonce: bool = False

    def admits(self, nonce: str) -> bool:
        """Return whether this may be signed with a nonce."""
        if self.plain_nonce:
            return ":" not in nonce
        return self.action is not None or not nonce.endswith(_ENDS_OF_ACTIONS)


def login(app_id: str, client_id: str) -> Claim:
    """Return what is signed to log in; the client id is empty where the server is to make one up."""
    return Claim((app_id, client_id, ""))


def on_members(
    app_id: str,
    client_id: str,
    member_ids: Sequence[str],
    *,
    conversation_id: str | None = None,
    action: str | None = None,
) -> Claim:
    """Return what is signed to start a conversation of members, or to do something to those of an existing one."""
    conversation = () if conversation_id is None else (conversation_id,)
    # By code unit, as JavaScript sorts: Python's own order differs beyond the Basic Multilingual Plane.
    ordered = sorted(member_ids, key=lambda member_id: member_id.encode("utf-16-be"))
    return Claim((app_id, client_id, *conversation, ":".join(ordered)), action)


def reading(app_id: str, client_id: str, conversation_id: str) -> tuple[Claim, Claim]:
    """Return what is signed to read a conversation's history over HTTP: a published sample has it another way round
    than the guide (rest-api 8.8)."""
    fields = (app_id, client_id, conversation_id)
    return (Claim(fields, nonce_first=True, plain_nonce=True), Claim(fields, plain_nonce=True))


def sign(claim: Claim, *, timestamp: int, nonce: str, master_key: str) -> Signature:
    """Sign a claim, as an application's own server does."""
    action = () if claim.action is None else (claim.action,)
    last = (nonce, str(timestamp)) if claim.nonce_first else (str(timestamp), nonce)
    text = ":".join((*claim.fields, *last, *action))
    return Signature(hmac.new(master_key.encode(), text.encode(), hashlib.sha1).hexdigest(), timestamp, nonce)


def is_valid(signature: Signature, claims: Iterable[Claim], *, master_key: str, now_ms: int) -> bool:
    """Return whether a signature is recent and says one of the claims."""
    if not signature.digest or not _is_recent(signature, now_ms):
        return False
    given = signature.digest.lower().encode()
    expected = [
        sign(claim, timestamp=signature.timestamp, nonce=signature.nonce, master_key=master_key)
        for claim in claims
        if claim.admits(signature.nonce)
    ]
    return any(hmac.compare_digest(given, one.digest.encode()) for one in expected)


def _is_recent(signature: Signature, now_ms: int) -> bool:
    return abs(now_ms - signature.at_ms) <= limits.SIGNATURE_TOLERANCE_SECONDS * 1000
