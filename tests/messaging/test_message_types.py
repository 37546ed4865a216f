"""What the server reads of a body it otherwise passes on untouched."""

import pytest

from messaging.message_types import message_type


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"_lctype":-1,"_lctext":"hi"}', -1),
        ('{"_lctext":"_lctype","_lctype":-127}', -127),
        ('{ "_lctype" : 3 }', 3),
        ('{"_lctype":0}', 0),
        ('{"_lctype":2147483647}', 2**31 - 1),
        ('{"_lctype":-2147483648}', -(2**31)),
        # An integer column holds no more.
        ('{"_lctype":2147483648}', None),
        ('{"_lctype":99999999999999999999}', None),
        ('{"_lctype":"-1"}', None),
        ('{"_lctype":true}', None),
        ('{"_lctype":null}', None),
        ('{"_lctype":1.5}', None),
        ('{"_lctype":[1]}', None),
        ('{"_lctext":"_lctype"}', None),
        ('{"a":{"_lctype":1}}', None),
        ('["_lctype"]', None),
        ('{"_lctype":-1', None),
        ("_lctype", None),
        ("", None),
        ("{", None),
        ('{"_lctype":' + "[" * 5000, None),
    ],
)
def test_the_type_is_the_number_in_a_json_body(text: str, expected: int | None) -> None:
    """Checklist 61."""
    assert message_type(text) == expected
