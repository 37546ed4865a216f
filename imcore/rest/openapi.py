"""The OpenAPI document of the REST API, `/docs/openapi.json`: made from what `endpoint` is told, by drf-spectacular.

Endpoints describe what they take and answer in JSON Schema, with the words below; their docstrings are the text.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from imcore import limits
from imcore.rest.authentication import Who

Schema = Mapping[str, Any]

STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
DATE: Final[Schema] = {"type": "string", "format": "date-time", "example": "2026-01-02T03:04:05.006Z"}
CLIENT_ID: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": limits.CLIENT_ID_MAX_CHARACTERS}
PAGING: Final[Mapping[str, Schema]] = {"limit": INTEGER, "skip": INTEGER}
# Part of the answer of every endpoint that has nothing to say.
NOTHING: Final[Schema] = {"type": "object"}

_ERROR: Final[Schema] = {
    "type": "object",
    "required": ["code", "error"],
    "properties": {"code": INTEGER, "error": STRING, "detail": STRING},
}
SECURITY_SCHEMES: Final = {
    name: {"type": "apiKey", "in": "header", "name": header, "description": text}
    for name, header, text in (
        ("appId", "X-LC-Id", "The App ID."),
        ("appKey", "X-LC-Key", "The App Key."),
        ("masterKey", "X-LC-Key", "The Master Key, followed by `,master`."),
        ("session", "X-LC-Session", "The session token of a user."),
        ("imSession", "X-LC-IM-Session-Token", "The token of an open session, with `client_id` in the query."),
    )
}
_KEYS: Final[Mapping[Who, list[dict[str, list[str]]]]] = {
    Who.ANYBODY: [],
    Who.APPLICATION: [{"appId": [], "appKey": []}, {"appId": [], "masterKey": []}],
    Who.USER: [{"appId": [], "appKey": [], "session": []}],
    Who.CLIENT: [{"appId": [], "appKey": [], "imSession": []}],
    Who.MASTER: [{"appId": [], "masterKey": []}],
}


# How the page is divided, in its order: each group, and the modules whose endpoints are in it.
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "Conversations": ("conversations", "members"),
    "Messages": ("messages", "history", "logs"),
    "Services and broadcasts": ("services", "broadcasts", "subscribers"),
    "Clients": ("clients", "transient_groups", "notifications"),
    "Moderation": ("silences", "roles", "block_lists", "member_infos"),
    "Users": ("users", "sessions"),
    "Files": ("files", "tokens"),
    "Installations": ("installations",),
    "Objects of classes": ("objects", "sys_messages", "schemas", "batches", "saving"),
    "Server": ("router", "basics"),
    "Refused": ("unserved",),
}
_GROUP_OF: Final = {module: group for group, modules in GROUPS.items() for module in modules}


class OperationSchema(AutoSchema):
    """How drf-spectacular describes an endpoint, apart from what `describe` tells it."""

    def get_operation_id(self) -> str:
        """Name an operation by method and path, since some endpoints are at several: `get_users_object_id`."""
        without_version = re.sub(r"^/1\.[12]/", "", self.path)
        return "_".join([self.method.lower(), *re.findall(r"[A-Za-z0-9]+", without_version)])


# What the page proposes for the fields of a body, by name; where a field has other names too, for one of them.
EXAMPLES: Final[Mapping[str, Any]] = {
    "m": ["tom", "jerry"],
    "name": "Lunch",
    "attr": {"topic": "food"},
    "client_id": "tom",
    "clientId": "jerry",
    "client_ids": ["jerry"],
    "peers": ["tom", "jerry"],
    "from_client": "tom",
    "to_clients": ["jerry"],
    "message": '{"_lctype":-1,"_lctext":"Hello"}',
    "timestamp": 1767323045006,
    "conv_id": "66a0f1e2c3d4b5a697887766",
    "message_id": "qNkRkFWOeSqP65S9fDyHJw",
    "msg-id": "qNkRkFWOeSqP65S9fDyHJw",
    "data": '{"_lctype":-1,"_lctext":"Hello"}',
    "role": "Manager",
    "ttl": 60,
    "reason": "bye",
    "url": "https://example.com/cat.png",
    "username": "amy",
    "password": "a long password",
    "old_password": "a long password",
    "new_password": "a longer password",
    "email": "amy@example.com",
    "session_token": "02jfc9kfabp7twrm07q3bk4gk",
    "deviceType": "android",
    "installationId": "a-device",
    "channels": ["news"],
    "requests": [
        {
            "method": "POST",
            "path": "/1.1/classes/_Installation",
            "body": {"__internalId": "it", "installationId": "a-device", "deviceType": "android"},
        }
    ],
}


def array(of: Schema) -> Schema:
    """Describe a list."""
    return {"type": "array", "items": of}


def record(**fields: Schema) -> Schema:
    """Describe an object that has these fields at least."""
    return {"type": "object", "required": sorted(fields), "properties": fields}


def one_of(*schemas: Schema) -> Schema:
    """Describe what is one or the other."""
    return {"anyOf": list(schemas)}


def describe(
    method: str,
    view: Any,
    *,
    who: Who,
    needs: Mapping[str, Schema],
    takes: Mapping[str, Schema],
    answers: Schema,
    status: int,
) -> Any:
    """Return the decorator by which drf-spectacular learns what an endpoint is, for one of its methods."""
    in_query = method in ("GET", "DELETE")
    text = view.__doc__ or ""
    module = view.__module__.rpartition(".")[2]
    fields = {**needs, **takes}
    body = {"type": "object", "properties": fields, **({"required": sorted(needs)} if needs else {})}
    if example := {name: EXAMPLES[name] for name in fields if name in EXAMPLES}:
        body["example"] = example
    client = {"client_id": CLIENT_ID} if who is Who.CLIENT else {}
    queried = {**client, **(fields if in_query else {})}
    return extend_schema(
        tags=[_GROUP_OF.get(module, module)],
        summary=text.partition("\n\n")[0],
        description=" ".join(text.split()),
        parameters=[
            OpenApiParameter(name, dict(schema), OpenApiParameter.QUERY, required=name in needs or name in client)
            for name, schema in queried.items()
        ],
        request=None if in_query or not fields else {"application/json": body},
        responses={200: answers, status: answers, "default": OpenApiResponse(dict(_ERROR), "What is wrong.")},
        # A scheme beside another in one entry means both; the types of drf-spectacular know names only.
        auth=cast(Any, _KEYS[who]),
    )


def one_version(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Leave one of the two versions under which every path is served: 1.2 for messaging, which its guide documents."""
    return [one for one in endpoints if not one[0].startswith("/1.1/" if "/rtm/" in one[0] else "/1.2/")]


def with_keys_and_groups(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the headers that say who asks, and the order of the page."""
    result.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
    result["tags"] = [{"name": group} for group in GROUPS]
    return result
