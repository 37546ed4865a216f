"""Reading JSON columns so that they can be written again."""

from typing import Any

import orjson


def read_json(text: str) -> Any:
    """Return what a column cast to text says.

    Not Python's reader, which the ORM uses: PostgreSQL writes 1e300 digit by digit, that reader makes an integer of it,
    and no JSON writer of ours takes one so long. This one makes a float again.
    """
    return orjson.loads(text)
