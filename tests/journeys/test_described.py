"""Whatever the OpenAPI document allows is answered as it says, and by no failure: schemathesis asks, over HTTP.

Half of what it makes up is put right: ids that exist, so that requests come further than "not found".
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.furniture import furnished, furniture, values_for
from tests.processes import Server, get

pytestmark = [pytest.mark.journey, pytest.mark.slow]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CASES = 20
SECONDS = 20.0
# No application is asked for so much in a minute.
UNLIMITED = tuple(f"rest_{what}_per_minute=0" for what in ("messages", "uploads", "subscriber_messages", "broadcasts"))


@dataclass(frozen=True)
class Furnished:
    """An application in which there is one of everything, and the headers of its developer."""

    headers: Mapping[str, str]
    values: Mapping[str, Any]

    def put_right(self, case: Any, data: st.DataObject) -> None:
        """Put what exists in place of what was made up, here and there."""
        values = values_for(case.path, self.values)
        for parameters in (case.path_parameters, case.query, case.body):
            if not isinstance(parameters, dict):
                continue
            for name in sorted(parameters.keys() & values.keys()):
                if data.draw(st.booleans(), label=f"is {name} put right?"):
                    parameters[name] = values[name]


@pytest.fixture
def its(server: Server, application_with: Callable[..., dict[str, str]]) -> Furnished:
    """The application that is asked about."""
    keys = application_with(*UNLIMITED)
    headers = {"X-LC-Id": keys["IMCORE_APP_ID"], "X-LC-Key": f"{keys['IMCORE_MASTER_KEY']},master"}

    def ask(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        sent: Any = {**headers, "Content-Type": "application/json"}
        answer = get(server.url + path, data=json.dumps(body).encode(), **sent)
        assert answer.status in (200, 201), (path, answer.body)
        made: dict[str, Any] = answer.json()
        return made

    return Furnished(headers, furnished(furniture("tom"), ask))


def operations(described: Any) -> Iterator[Any]:
    """Yield what the document describes."""
    for found in described.get_all_operations():
        yield found.ok()


def test_every_answer_is_as_described_and_none_is_a_failure(
    server: Server, its: Furnished, subtests: pytest.Subtests
) -> None:
    """With the master key, each endpoint in turn; the log of the server is looked at when it stops."""
    described = schemathesis.openapi.from_url(f"{server.url}/docs/openapi.json")
    for operation in operations(described):
        with subtests.test(f"{operation.method.upper()} {operation.path}"):
            ask(operation, server, its)


def ask(operation: Any, server: Server, its: Furnished) -> None:
    """Make requests to an endpoint. Raises for an answer that is not as described."""

    @settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), data=st.data())
    def answers_as_described(case: Any, data: st.DataObject) -> None:
        its.put_right(case, data)
        case.call_and_validate(base_url=server.url, headers=dict(its.headers), checks=CHECKS, timeout=SECONDS)

    answers_as_described()
