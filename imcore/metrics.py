"""Counters of this process, by name. Cheap enough for every frame."""

from collections import Counter

counters: Counter[str] = Counter()


def count(name: str, by: int = 1) -> None:
    """Add to a counter."""
    counters[name] += by
