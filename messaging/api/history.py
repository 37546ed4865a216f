"""Reading history (rest-api 8.8, and 9 for 1.1)."""

from collections.abc import Sequence
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.families import Family
from conversations.policy import Kind
from imcore import limits, signatures
from imcore.bridge import in_async
from imcore.errors import InvalidLogin
from imcore.identifiers import now_ms
from imcore.rest import parameters
from imcore.rest.authentication import Caller, Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter, MasterKeyRequired, Unauthorized
from imcore.rest.openapi import BOOLEAN, CLIENT_ID, INTEGER, STRING, array, record
from imcore.rest.parameters import Parameters
from imcore.signatures import Signature
from messaging.api.entries import ENTRY, entry
from messaging.api.saying import name_of
from messaging.models import MessagingSettings
from messaging.services import logs
from messaging.services.logs import Asked, Boundary, Entry

PAGE: Final = {
    "timestamp": INTEGER,
    "msgid": STRING,
    "till_timestamp": INTEGER,
    "till_msgid": STRING,
    "include_start": BOOLEAN,
    "include_stop": BOOLEAN,
    "reversed": BOOLEAN,
    "limit": INTEGER,
    "extra": BOOLEAN,
}
SIGNED: Final = {"nonce": STRING, "signature_ts": INTEGER, "signature": STRING}
ENTRIES: Final = array(record(**ENTRY))


@endpoint(Who.APPLICATION, takes={**PAGE, **SIGNED, "client_id": CLIENT_ID}, answers=ENTRIES)
def of_conversation(request: Request, family: Family, conversation_id: str) -> Response:
    """Read what was said in a conversation, the newest first, or with `reversed` the oldest.

    With the Master Key; or where the application's setting `sign_history` is on with a signature for one client.
    """
    asked = parameters.of(request)
    caller = caller_of(request)
    if not caller.is_master:
        _check_signed(caller, asked, conversation_id)
    entries = in_async(
        logs.of_conversation,
        application=caller.application.pk,
        conversation_id=conversation_id,
        kind=family.kind,
        asked=_page_of(asked, "timestamp"),
        now_ms=now_ms(),
    )
    return _answer(entries, asked)


@endpoint(Who.MASTER, takes=PAGE, answers=ENTRIES)
def of_subscriber(request: Request, conversation_id: str, client_id: str) -> Response:
    """Read what a service conversation said to a client, and to all subscribers if the client is one."""
    asked = parameters.of(request)
    entries = in_async(
        logs.of_subscriber,
        application=caller_of(request).application.pk,
        conversation_id=conversation_id,
        client_id=_checked(client_id),
        asked=_page_of(asked, "timestamp"),
        now_ms=now_ms(),
    )
    return _answer(entries, asked)


@endpoint(Who.MASTER, takes=PAGE, answers=ENTRIES)
def of_client(request: Request, client_id: str) -> Response:
    """Read what a client said in normal conversations and chat rooms."""
    asked = parameters.of(request)
    entries = in_async(
        logs.of_client,
        application=caller_of(request).application.pk,
        client_id=_checked(client_id),
        asked=_page_of(asked, "timestamp"),
    )
    return _answer(entries, asked)


@endpoint(Who.MASTER, takes=PAGE, answers=ENTRIES)
def of_application(request: Request) -> Response:
    """Read what was said in the whole application."""
    asked = parameters.of(request)
    entries = in_async(
        logs.of_application, application=caller_of(request).application.pk, asked=_page_of(asked, "timestamp")
    )
    return _answer(entries, asked)


@endpoint(
    Who.APPLICATION,
    takes={**PAGE, **SIGNED, "max_ts": INTEGER, "convid": STRING, "from": CLIENT_ID, "peerid": CLIENT_ID},
    answers=ENTRIES,
)
def anywhere(request: Request) -> Response:
    """Read what was said in the conversation `convid`, or by the client `from`, or in the whole application.

    As `convid`, the MD5 of `id:client` is what a service conversation said to a client.
    The start is `max_ts`, or `timestamp`. With the Master Key; with the App Key where `history_with_app_key` is on, or
    for a conversation and with a signature where `sign_history` is.
    """
    asked = parameters.of(request)
    caller = caller_of(request)
    log_id, client_id = asked.string("convid", ""), asked.client_id("from", None)
    reader = None
    if not caller.is_master and not caller.application.of(MessagingSettings).history_with_app_key:
        reader = _check_signed(caller, asked, log_id)
    page = _page_of(asked, name_of(asked, "max_ts", "timestamp"))
    application = caller.application.pk
    if log_id:
        entries = in_async(
            logs.of_log, application=application, log_id=log_id, reader=reader, asked=page, now_ms=now_ms()
        )
    elif client_id is not None:
        entries = in_async(logs.of_client, application=application, client_id=client_id, asked=page)
    else:
        entries = in_async(logs.of_application, application=application, asked=page)
    return _answer(entries, asked)


def _page_of(asked: Parameters, start: str) -> Asked:
    is_reversed = asked.boolean("reversed", False)
    first = _end(asked, start, "msgid", "include_start")
    last = _end(asked, "till_timestamp", "till_msgid", "include_stop")
    older_end, newer_end = (first, last) if is_reversed else (last, first)
    return Asked(older_end, newer_end, not is_reversed, _limit(asked))


def _end(asked: Parameters, time_name: str, id_name: str, included_name: str) -> Boundary | None:
    """Read one end of the range; None is no end, which says more than "now": a clock elsewhere may be ahead."""
    timestamp_ms = asked.integer(time_name, None)
    message_id = asked.string(id_name, "")
    is_included = asked.boolean(included_name, False)
    if timestamp_ms is not None:
        return Boundary(timestamp_ms, message_id, is_included)
    if message_id:
        raise BadParameter(f"{id_name} needs {time_name}.")
    return None


def _limit(asked: Parameters) -> int:
    wanted = asked.integer("limit", limits.REST_PAGE_DEFAULT)
    return min(wanted, limits.REST_PAGE_MAX) if wanted >= 1 else limits.REST_PAGE_DEFAULT


def _checked(client_id: str) -> str:
    if not parameters.is_client_id(client_id):
        raise InvalidLogin(f"A client id has 1 to {limits.CLIENT_ID_MAX_CHARACTERS} characters.")
    return client_id


def _check_signed(caller: Caller, asked: Parameters, conversation_id: str) -> str:
    """Return the client that may read this one. Raises MasterKeyRequired; Unauthorized for a wrong or old signature."""
    application = caller.application
    digest = asked.string("signature", "")
    if not application.of(MessagingSettings).sign_history or not conversation_id or not digest:
        raise MasterKeyRequired
    client_id = asked.client_id(name_of(asked, "client_id", "peerid"))
    signature = Signature(digest, asked.integer("signature_ts"), asked.string("nonce"))
    claims = signatures.reading(application.app_id, client_id, conversation_id)
    if not signatures.is_valid(signature, claims, master_key=application.master_key, now_ms=now_ms()):
        raise Unauthorized
    return client_id


def _answer(entries: Sequence[Entry], asked: Parameters) -> Response:
    has_extra = asked.boolean("extra", False)
    return Response([_shown(one, has_extra=has_extra) for one in entries])


def _shown(of: Entry, *, has_extra: bool) -> dict[str, Any]:
    message = of.message
    shown = entry(
        message,
        log_id=of.log_id,
        conversation_id=of.conversation_id,
        is_room=of.kind is Kind.CHAT_ROOM,
    )
    if message.ack_ms is not None:
        shown["ack-at"] = message.ack_ms
    if has_extra:
        shown |= {
            "mention-all": message.mention_all,
            "mention-pids": list(message.mention_ids),
            "recall": of.is_recalled,
        }
        if message.patch_ms is not None:
            shown["patch-timestamp"] = message.patch_ms
    return shown
