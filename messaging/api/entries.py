"""Messages as history shows them over HTTP (rest-api 8.8)."""

from typing import Any, Final

from imcore.rest.openapi import BOOLEAN, INTEGER, STRING
from messaging.services.history import StoredMessage

ENTRY: Final = {
    "timestamp": INTEGER,
    "conv-id": STRING,
    "data": STRING,
    "from": STRING,
    "msg-id": STRING,
    "is-conv": BOOLEAN,
    "is-room": BOOLEAN,
    "to": STRING,
    "bin": BOOLEAN,
    "from-ip": STRING,
}


def entry(message: StoredMessage, *, log_id: str, conversation_id: str, is_room: bool) -> dict[str, Any]:
    """Return a message of a conversation, which is filed in a log (messaging/storage/logs.py)."""
    return {
        "timestamp": message.timestamp_ms,
        "conv-id": log_id,
        "data": message.wire_text,
        "from": message.sender,
        "msg-id": message.message_id,
        "is-conv": True,
        "is-room": is_room,
        "to": conversation_id,
        "bin": message.is_binary,
        "from-ip": "",  # nothing keeps it
    }
