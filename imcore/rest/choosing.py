"""The smallest part of `where` (rest-api 6): columns that are one of some texts."""

from collections.abc import Mapping
from typing import Any, TypeVar

from imcore import limits
from imcore.rest.exceptions import BadParameter

Column = TypeVar("Column")


def among(where: Mapping[str, Any], searched: Mapping[str, Column]) -> dict[Column, list[str]]:
    """Return which values are asked for of which column. Raises BadParameter for whatever is not a text or `$in`."""
    if not where.keys() <= searched.keys():
        raise BadParameter(f"where has {', '.join(searched)} only.")
    return {searched[key]: _values(key, condition) for key, condition in where.items()}


def _values(key: str, condition: object) -> list[str]:
    values = condition["$in"] if isinstance(condition, dict) and condition.keys() == {"$in"} else [condition]
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise BadParameter(f'{key} is a text, or {{"$in": [texts]}}.')
    if len(values) > limits.REST_PAGE_MAX:
        raise BadParameter(f"$in has at most {limits.REST_PAGE_MAX} texts.")
    return [one for one in values if "\0" not in one]
