"""HTTP requests about users, as SDKs make them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from asgiref.sync import ThreadSensitiveContext
from django.test import AsyncClient

from imcore.models import Application

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> tuple[int, int]:
        """Return the HTTP status and the error's code."""
        assert self.body.keys() <= {"code", "error", "detail"}, self.body
        return self.status, self.body["code"]


@dataclass(frozen=True)
class Api:
    """The API as an application's clients, or its developer, reach it."""

    application: Application

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        master: bool = False,
        raw: bytes | None = None,
        **query: Any,
    ) -> Answer:
        """Make a request below `/1.1/`, or of a whole path, with a user's session token or as the developer."""
        key = f"{self.application.master_key},master" if master else self.application.app_key
        headers = {"X-LC-Id": self.application.app_id, "X-LC-Key": key}
        if token is not None:
            headers["X-LC-Session"] = token
        text = orjson.dumps(body) if raw is None else raw
        sent: Json = {} if method == "GET" else {"data": text, "content_type": "application/json"}
        address = "http://testserver" + (path if path.startswith("/") else f"/1.1/{path}")
        # As in the server, a request has a thread of its own: else those that come at a time wait for each other.
        async with ThreadSensitiveContext():
            response = await AsyncClient().generic(
                method, f"{address}?{urlencode(query)}" if query else address, headers=headers, **sent
            )
        assert response["Content-Type"].startswith("application/json")
        return Answer(response.status_code, response.json(), response.headers)

    async def sign_up(self, username: str = "tom", password: str = "cheese!", **columns: Any) -> Json:
        """Make a user, and return the whole of it."""
        body = {"username": username, "password": password, **columns}
        answer = await self.ask("POST", "users", body, fetchWhenSave="true")
        assert answer.status == 201, answer.body
        made: Json = answer.body
        return made
