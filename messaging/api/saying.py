"""What every request that says something has in common (rest-api 8.7): the message, how dear it is, the answer."""

from typing import Any, Final

from imcore import limits
from imcore.delivery.encoding import Priority
from imcore.rest.bodies import as_text
from imcore.rest.exceptions import BadParameter
from imcore.rest.openapi import BOOLEAN, CLIENT_ID, INTEGER, OBJECT, STRING, array, one_of, record
from imcore.rest.parameters import Parameters
from messaging.events import Body, Mentions
from messaging.services.on_behalf import Said
from messaging.services.sending import Acknowledgement

# A text, or an object whose JSON is the text.
MESSAGE: Final = one_of(STRING, OBJECT)
PUSH_DATA: Final = one_of(STRING, OBJECT)
SENT: Final = record(**{"msg-id": STRING, "timestamp": INTEGER})
SAYING: Final = {"transient": BOOLEAN, "no_sync": BOOLEAN, "push_data": PUSH_DATA, "priority": STRING}
MENTIONING: Final = {"mention_all": BOOLEAN, "mention_client_ids": array(CLIENT_ID)}
# What names a message that is to be changed, beside its id.
NAMED: Final = {"from_client": CLIENT_ID, "timestamp": INTEGER}


def said_of(asked: Parameters, from_name: str, *, is_transient: bool, priority: Priority) -> Said:
    """Return what is to be said, and as whom; `is_transient` and `priority` if nothing is said of them.

    Raises BadParameter, InvalidLogin for what can be no client id.
    """
    mentioned = asked.client_ids("mention_client_ids", [], at_most=limits.REST_MENTIONS_MAX)
    return Said(
        sender=asked.client_id(from_name),
        body=body_of(asked),
        push_data=push_data_of(asked),
        mentions=Mentions(tuple(mentioned), asked.boolean("mention_all", False)),
        is_transient=asked.boolean("transient", is_transient),
        priority=priority_of(asked, priority),
        syncs_sender=not asked.boolean("no_sync", False),
    )


def body_of(asked: Parameters) -> Body:
    """Return the `message` of a request: a text, or an object, which is written as JSON. Raises BadParameter."""
    return Body(text=_text_or_json(asked, "message"), binary=None)


def push_data_of(asked: Parameters, name: str = "push_data") -> str:
    """Return what a push is to say, as JSON; empty if nothing is said of it. Raises BadParameter."""
    return "" if _value(asked, name) is None else _text_or_json(asked, name)


def priority_of(asked: Parameters, default: Priority) -> Priority:
    """Return the `priority` of a request, `high`, `normal` or `low` in any case. Raises BadParameter."""
    text = asked.string("priority", default.name)
    try:
        return Priority[text.strip().upper()]
    except KeyError:
        raise BadParameter("priority is high, normal or low.") from None


def name_of(asked: Parameters, *names: str) -> str:
    """Return that one of the names of a parameter by which it is there; the first if it is not."""
    return next((name for name in names if _value(asked, name) is not None), names[0])


def sent(acknowledgement: Acknowledgement) -> dict[str, Any]:
    """Return the answer to a request that has said something."""
    return {"msg-id": acknowledgement.message_id, "timestamp": acknowledgement.timestamp_ms}


def _value(asked: Parameters, name: str) -> Any:
    return asked.body.get(name) or asked.query.get(name) or None


def _text_or_json(asked: Parameters, name: str) -> str:
    value = asked.body.get(name)
    if not isinstance(value, dict):
        return asked.string(name)
    return as_text(value, name)
