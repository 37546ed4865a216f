"""Sets of characters, as ranges of code points, and how both dialects of regular expressions write them.

The sets are ASCII, as in PCRE. Whatever might mean something is escaped; what does not print is written by number.
"""

from typing import Final, TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]

LAST_CODE_POINT: Final = 0x10FFFF

_DIGIT: Final[Ranges] = ((0x30, 0x39),)
_UPPER: Final[Ranges] = ((0x41, 0x5A),)
_LOWER: Final[Ranges] = ((0x61, 0x7A),)
_WORD: Final[Ranges] = (*_DIGIT, *_UPPER, (0x5F, 0x5F), *_LOWER)
_SPACE: Final[Ranges] = ((0x09, 0x0D), (0x20, 0x20))
_ESCAPED_SETS: Final[dict[str, Ranges]] = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_POSIX_SETS: Final[dict[str, Ranges]] = {
    "alnum": (*_DIGIT, *_UPPER, *_LOWER),
    "alpha": (*_UPPER, *_LOWER),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": _LOWER,
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": _SPACE,
    "upper": _UPPER,
    "word": _WORD,
    "xdigit": (*_DIGIT, (0x41, 0x46), (0x61, 0x66)),
}
_SPECIAL: Final = frozenset(r"\.[]{}()*+?^$|-&~#")


def escaped_set(letter: str) -> Ranges | None:
    r"""Return the set that `\d`, `\w`, `\s` or its complement `\D`, `\W`, `\S` stands for."""
    ranges = _ESCAPED_SETS.get(letter.lower())
    return _complement(ranges) if ranges and letter.isupper() else ranges


def posix_set(name: str, *, negated: bool) -> Ranges | None:
    """Return the set that `[:name:]`, or `[:^name:]`, stands for."""
    ranges = _POSIX_SETS.get(name)
    return _complement(ranges) if ranges and negated else ranges


def bracket(ranges: Ranges, *, negated: bool = False) -> str:
    """Write a bracket expression."""
    parts = (literal(low) if low == high else f"{literal(low)}-{literal(high)}" for low, high in ranges)
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def literal(code_point: int) -> str:
    """Write one character, for use inside and outside brackets."""
    char = chr(code_point)
    if char in _SPECIAL:
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{code_point:08x}"


def _complement(ranges: Ranges) -> Ranges:
    gaps = []
    start = 0
    for low, high in ranges:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    return (*gaps, (start, LAST_CODE_POINT))
