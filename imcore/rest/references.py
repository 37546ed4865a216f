"""Files that objects have as values: stored as SDKs say it, told in full (rest-api 5).

An SDK says `{"__type": "File", "id": …}`, as Java does `objectId`, and whatever else it knows. It reads `objectId`,
`name`, `url`; where one of them is not there, Python can no longer read the object, a user's own log-in included.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from imcore import limits

Json = dict[str, Any]
# Files with these ids, by id.
Files = Callable[[Sequence[str]], Mapping[str, Json]]

NEEDED: Final = ("objectId", "name", "url")


def with_files(results: Sequence[Json], read: Files) -> list[Json]:
    """Return objects with the files in them told in full, wherever they are; `read` is asked once, if there are any.

    What is no file, or no longer, keeps what was said of it. So do those beyond REST_PAGE_MAX files, or beyond
    REST_INCLUDED_MAX_BYTES: many places may name a file that says much of itself.
    """
    if not any(True for one in results for _ in _references(list(one.values()))):
        return list(results)
    filled = copy.deepcopy(list(results))
    references = [reference for one in filled for reference in _references(list(one.values()))]
    ids = [_id_of(reference) for reference in references]
    wanted = list(dict.fromkeys(one for one in ids if one))[: limits.REST_PAGE_MAX]
    found = read(wanted) if wanted else {}
    sizes = {object_id: len(orjson.dumps(file)) for object_id, file in found.items()}
    left = limits.REST_INCLUDED_MAX_BYTES
    for reference, object_id in zip(references, ids, strict=True):
        left -= sizes.get(object_id, 0)
        whole = found[object_id] if object_id in found and left >= 0 else _as_said(reference, object_id)
        reference.clear()
        reference.update(whole)
    return filled


def _references(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        if value.get("__type") == "File":
            yield value
            return
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for one in value:
        if isinstance(one, dict | list):
            yield from _references(one)


def _id_of(reference: Json) -> str:
    """Return which file is meant, or nothing. Java says the name where others say the id."""
    texts = (reference.get(key) for key in ("objectId", "id"))
    return next((one for one in texts if isinstance(one, str) and one and "\0" not in one), "")


def _as_said(reference: Json, object_id: str) -> Json:
    said = {key: value for key, value in reference.items() if key != "id"}
    needed = {key: value if isinstance(value := reference.get(key), str) else "" for key in NEEDED}
    return {**said, **needed, "objectId": object_id}
