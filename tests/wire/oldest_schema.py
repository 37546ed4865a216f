"""The schema of the oldest client, JavaScript SDK 3.5.7: what every server frame must parse under (checklist 8).

Made from ours by taking away what came later (realtime-protocol 2.3), and strict where proto2 clients are: a frame
that lacks a required field is lost to them as a whole (P5).
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from imcore.protocol import message_pb2
from imcore.protocol.message_pb2 import GenericCommand

_PACKAGE = "push_server.messages2"

LATER_MESSAGES = {
    "AndroidVersion", "BlacklistCommand", "ConvMemberInfo", "LoggedinCommand", "LoginCommand", "PubsubCommand",
    "SemanticVersion", "SystemInfo",
}  # fmt: skip
LATER_FIELDS: Mapping[str, set[int]] = {
    "AckCommand": {12},
    "ConvCommand": {*range(26, 41), 104},
    "DirectCommand": {19, 20, 21, 22},
    "ErrorCommand": {5, 6},
    "GenericCommand": {9, 10, 11, 100, 115, 116, 117},
    "LogItem": {8, 9, 10, 11},
    "PatchItem": {8, 9, 10, 11, 12},
    "RcpCommand": {5},
    "SessionCommand": {20},
    "UnreadTuple": {8, 9, 10},
}
REQUIRED_FIELDS: Mapping[str, set[str]] = {
    "ErrorCommand": {"code", "reason"},
    "JsonObjectMessage": {"data"},
    "ReadTuple": {"cid"},
    "UnreadTuple": {"cid", "unread"},
}


def _oldest() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto()
    message_pb2.DESCRIPTOR.CopyToProto(file)
    file.syntax = "proto2"
    file.ClearField("edition")
    file.ClearField("options")
    _keep(file.message_type, lambda message: message.name not in LATER_MESSAGES)
    _keep(file.enum_type, lambda enum: enum.name != "DeviceType")
    for message in file.message_type:
        later = LATER_FIELDS.get(message.name, set())
        _keep(message.field, lambda field, later=later: field.number not in later)
        for field in message.field:
            if field.name in REQUIRED_FIELDS.get(message.name, ()):
                field.label = field.LABEL_REQUIRED
            field.ClearField("options")
        if message.name == "LogsCommand":
            direction = next(field for field in message.field if field.number == 10)
            direction.type = direction.TYPE_BOOL
            direction.ClearField("type_name")
            direction.ClearField("default_value")
        if message.name == "PatchItem":
            data = next(field for field in message.field if field.number == 5)
            data.type = data.TYPE_STRING
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.GenericCommand"))


def _keep(items: Any, wanted: Any) -> None:
    kept = [item for item in items if wanted(item)]
    del items[:]
    items.extend(kept)


OldestCommand = _oldest()


def assert_understood(raw: bytes) -> None:
    """Assert that the oldest client parses a frame, lacks nothing in it, and reads in it what the newest reads."""
    read: Any = OldestCommand.FromString(raw)
    missing = read.FindInitializationErrors()
    assert not missing, f"required fields are missing: {missing}"
    _assert_same(read, GenericCommand.FromString(raw))


def _assert_same(old: Message, new: Message) -> None:
    for field, value in old.ListFields():
        of_new = getattr(new, field.name)
        if field.message_type is None:
            # Only PatchItem.data is a string there and bytes here.
            same = of_new.decode() if isinstance(of_new, bytes) and isinstance(value, str) else of_new
            assert value == same, field.full_name
        elif field.is_repeated:
            for one, other in zip(value, of_new, strict=True):
                _assert_same(one, other)
        else:
            _assert_same(value, of_new)
