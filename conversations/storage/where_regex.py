r"""Patterns of `$regex`, from PCRE to the dialect that both engines read alike.

Clients write PCRE (realtime-protocol 4.4). On SQLite the `regex` module evaluates it, on PostgreSQL its own
"advanced regular expressions". The two disagree on `\b`, `\Z`, `$`, `.` and on what `\w` means beyond ASCII,
so a pattern is read here, once, and written out with only what both understand in the same way:

    \Q…\E            each character, escaped        .         [^\n], or . under option s
    \uXXXX \xXX …    the character                  $ \Z      (?=\n?\Z), as PCRE ends before a final newline
    \d \w \s         sets of ASCII, as in PCRE      \z        \Z
    \b \B            lookarounds on [0-9A-Za-z_]    *? +? ??  greedy: only whether it matches matters here

What PostgreSQL cannot express is refused on both engines, so that a query means the same wherever it runs:
atomic groups, possessive quantifiers, recursion, conditionals, verbs, `\p{…}`, `\R`, `\K`, flags anywhere but
at the start, counts above 255, and references such as `\1`, which fail there in repeated groups.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, NoReturn

from conversations.storage.where_characters import (
    LAST_CODE_POINT,
    Ranges,
    bracket,
    escaped_set,
    literal,
    posix_set,
)
from conversations.storage.where_tree import Regex
from imcore.errors import ConversationQueryFailed

PATTERN_MAX_CHARACTERS: Final = 2048
GROUP_DEPTH_MAX: Final = 30
COUNT_MAX: Final = 255  # PostgreSQL's DUPMAX
# Both engines may write counted repetitions out in full: `((a{255}){255}){255}` keeps `regex` busy for 10 s.
EXPANSION_MAX: Final = 5000

_CONTROLS: Final = {"a": 0x07, "e": 0x1B, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09}
_W: Final = "[0-9A-Za-z_]"
_ASSERTIONS: Final = {
    "A": r"\A",
    "Z": r"(?=\n?\Z)",
    "z": r"\Z",
    "b": f"(?:(?<!{_W})(?={_W})|(?<={_W})(?!{_W}))",
    "B": f"(?:(?<!{_W})(?!{_W})|(?<={_W})(?={_W}))",
}


def translate(pattern: str, options: str = "") -> Regex:
    """Read a PCRE `pattern` with `$options` out of `imxs`.

    Raises ConversationQueryFailed for a pattern that is invalid, too long or beyond the common dialect.
    """
    if len(pattern) > PATTERN_MAX_CHARACTERS:
        _refuse(f"longer than {PATTERN_MAX_CHARACTERS} characters")
    if unknown := set(options) - set("imxs"):
        raise ConversationQueryFailed(detail=f"$options: {''.join(sorted(unknown))!r} is not of i, m, x, s")
    if leading := re.match(r"\(\?([imxs]+)\)", pattern):
        options += leading[1]
        pattern = pattern[leading.end() :]
    return Regex(_Translation(pattern, options).text(), "i" in options, "m" in options)


def _refuse(why: str) -> NoReturn:
    raise ConversationQueryFailed(detail=f"$regex: {why}")


class _Token(NamedTuple):
    char: str
    kind: Literal["plain", "quoted", "escape"]


def _tokens(pattern: str) -> Iterator[_Token]:
    r"""Undo `\Q…\E`. An `\E` without its `\Q` is nothing, as in PCRE."""
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char != "\\":
            yield _Token(char, "plain")
            continue
        if position == len(pattern):
            _refuse("ends in a backslash")
        escaped = pattern[position]
        position += 1
        if escaped == "Q":
            end = pattern.find("\\E", position)
            for quoted in pattern[position:] if end < 0 else pattern[position:end]:
                yield _Token(quoted, "quoted")
            position = len(pattern) if end < 0 else end + 2
        elif escaped != "E":
            yield _Token(escaped, "escape")


class _Piece(NamedTuple):
    """Translated text; `size` is its length in characters matched, with counts written out."""

    text: str
    size: int = 1
    repeatable: bool = True


class _Translation:
    """One pattern on its way through, by recursive descent."""

    def __init__(self, pattern: str, options: str) -> None:
        self._tokens = list(_tokens(pattern))
        self._position = 0
        self._extended = "x" in options
        self._multiline = "m" in options
        self._ignore_case = "i" in options
        self._any = "." if "s" in options else self._none_of(((0x0A, 0x0A),)).text
        self._depth = 0

    def text(self) -> str:
        """Return the whole pattern, translated."""
        piece = self._alternatives()
        if self._position < len(self._tokens):
            _refuse("a ')' too many")
        return piece.text

    def _alternatives(self) -> _Piece:
        branches = [self._branch()]
        while self._take("|"):
            branches.append(self._branch())
        size = sum(branch.size for branch in branches)
        if size > EXPANSION_MAX:
            _refuse(f"its counts multiply to more than {EXPANSION_MAX}")
        return _Piece("|".join(branch.text for branch in branches), size)

    def _branch(self) -> _Piece:
        pieces: list[_Piece] = []
        while True:
            self._skip_layout()
            if self._position == len(self._tokens) or self._at("|") or self._at(")"):
                return _Piece("".join(piece.text for piece in pieces), sum(piece.size for piece in pieces))
            piece = self._atom()
            self._skip_layout()
            pieces.append(self._repeated(piece))

    def _repeated(self, piece: _Piece) -> _Piece:
        quantifier = self._quantifier()
        if quantifier is None:
            return piece
        if not piece.repeatable:
            _refuse("a repeated assertion is not supported")
        low, high = quantifier
        if not self._take("?") and self._at("+"):
            _refuse("possessive quantifiers are not supported")
        self._skip_layout()
        if self._quantifier() is not None:
            _refuse("a repeated quantifier")
        bounds = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get(quantifier)
        if bounds is None:
            bounds = f"{{{low},{'' if high is None else high}}}"
        return _Piece(piece.text + bounds, piece.size * max(low, high or 1, 1))

    def _quantifier(self) -> tuple[int, int | None] | None:
        """Take a quantifier, if one is next. A `{` that starts none is a literal, as in PCRE."""
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        count = re.match(r"\{(\d+)(,?)(\d*)\}", self._ahead(16))
        if count is None or (count[3] and not count[2]):
            return None
        self._position += count.end()
        low = int(count[1])
        high = int(count[3]) if count[3] else None if count[2] else low
        if max(low, high or 0) > COUNT_MAX:
            _refuse(f"counts above {COUNT_MAX} are not supported")
        if high is not None and high < low:
            _refuse("a count that ends before it starts")
        return low, high

    def _atom(self) -> _Piece:
        if self._quantifier() is not None:
            _refuse("nothing to repeat")
        token = self._next()
        if token.kind == "escape":
            return self._escape(token.char)
        if token.kind == "plain":
            match token.char:
                case "(":
                    return self._group()
                case "[":
                    return self._bracket()
                case ".":
                    return _Piece(self._any)
                case "^":
                    return _Piece("^", 0, repeatable=False)
                case "$":
                    return _Piece("$" if self._multiline else _ASSERTIONS["Z"], 0, repeatable=False)
        return _Piece(literal(_storable(ord(token.char))))

    def _group(self) -> _Piece:
        if self._depth == GROUP_DEPTH_MAX:
            _refuse(f"groups nest deeper than {GROUP_DEPTH_MAX}")
        self._depth += 1
        opening = self._opening()
        body = self._alternatives()
        if not self._take(")"):
            _refuse("a ')' is missing")
        self._depth -= 1
        return _Piece(f"{opening}{body.text})", max(body.size, 1), repeatable=opening == "(?:")

    def _opening(self) -> str:
        """Take what follows a "(" and return the whole opening. Nothing refers to groups, so none captures."""
        if not self._take("?"):
            return "(?:"
        opening = re.match(r"(:|=|!|<=|<!|P?<[A-Za-z_][A-Za-z_0-9]*>)", self._ahead(64))
        if opening is None:
            _refuse(f"'(?{self._ahead(1)}' is not supported")
        self._position += opening.end()
        return "(?:" if opening[1].endswith(">") else f"(?{opening[1]}"

    def _escape(self, char: str) -> _Piece:
        if char in _ASSERTIONS:
            return _Piece(_ASSERTIONS[char], 0, repeatable=False)
        if (ranges := escaped_set(char)) is not None:
            return _Piece(bracket(ranges))
        return _Piece(literal(self._code_point(char)))

    def _bracket(self) -> _Piece:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        is_first = True
        while is_first or not self._take("]"):
            is_first = False
            ranges += self._bracket_item()
        return self._none_of(tuple(ranges)) if negated else _Piece(bracket(tuple(ranges)))

    def _none_of(self, ranges: Ranges) -> _Piece:
        negated = bracket(ranges, negated=True)
        # The `regex` module gets `[^a]|[^b]` wrong when it ignores case. A group keeps it from joining the two.
        return _Piece(f"({negated})" if self._ignore_case else negated)

    def _bracket_item(self) -> Ranges:
        posix = re.match(r"\[:(\^?)([a-z]+):\]", self._ahead(16))
        if posix is not None:
            ranges = posix_set(posix[2], negated=bool(posix[1]))
            if ranges is None:
                _refuse(f"unknown set {posix[0]}")
            self._position += posix.end()
            return ranges
        start = self._bracket_member()
        # A "-" before the closing bracket or beside a set is a literal, as in PCRE.
        if not isinstance(start, int):
            return start
        if not self._at("-") or self._ahead(2) == "-]":
            return ((start, start),)
        self._position += 1
        end = self._bracket_member()
        if not isinstance(end, int):
            return ((start, start), (ord("-"), ord("-")), *end)
        if end < start:
            _refuse("a range that ends before it starts")
        return ((start, end),)

    def _bracket_member(self) -> int | Ranges:
        token = self._next("a ']' is missing")
        if token.kind != "escape":
            return _storable(ord(token.char))
        if (ranges := escaped_set(token.char)) is not None:
            return ranges
        return 0x08 if token.char == "b" else self._code_point(token.char)

    def _code_point(self, char: str) -> int:
        """Return the character that an escape stands for, whose digits, if any, are next."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "0":
            return self._number("[0-7]{0,2}", 8)
        if char == "x":
            return self._number(r"[0-9A-Fa-f]{1,2}|\{[0-9A-Fa-f]{1,6}\}", 16)
        if char == "u":
            return self._utf16()
        if char.isascii() and char.isalnum():
            _refuse(f"\\{char} is not supported")
        return _storable(ord(char))

    def _number(self, digits: str, base: int) -> int:
        found = re.match(digits, self._ahead(8))
        if found is None:
            _refuse("an escape without its digits")
        self._position += found.end()
        return _storable(int(found[0].strip("{}") or "0", base))

    def _utf16(self) -> int:
        """Read XXXX, and the second half of a surrogate pair: JavaScript writes emoji as two escapes."""
        high = re.match("[Dd][89ABab][0-9A-Fa-f]{2}", self._ahead(4))
        if high is None:
            return self._number(r"[0-9A-Fa-f]{4}|\{[0-9A-Fa-f]{1,6}\}", 16)
        self._position += 4
        if self._position == len(self._tokens) or self._next() != _Token("u", "escape"):
            _refuse("half a surrogate pair")
        low = re.match("[Dd][C-Fc-f][0-9A-Fa-f]{2}", self._ahead(4))
        if low is None:
            _refuse("half a surrogate pair")
        self._position += 4
        return 0x10000 + ((int(high[0], 16) & 0x3FF) << 10) + (int(low[0], 16) & 0x3FF)

    def _next(self, missing: str = "incomplete") -> _Token:
        if self._position == len(self._tokens):
            _refuse(missing)
        self._position += 1
        return self._tokens[self._position - 1]

    def _ahead(self, length: int) -> str:
        """Return the next characters as far as they are plain."""
        text = ""
        for token in self._tokens[self._position : self._position + length]:
            if token.kind != "plain":
                break
            text += token.char
        return text

    def _at(self, char: str) -> bool:
        return self._ahead(1) == char

    def _take(self, char: str) -> bool:
        if not self._at(char):
            return False
        self._position += 1
        return True

    def _skip_layout(self) -> None:
        """Under option x, skip white space and comments."""
        while self._extended and self._position < len(self._tokens):
            if self._take("#"):
                while self._position < len(self._tokens) and not self._take("\n"):
                    self._position += 1
            elif self._ahead(1) in set(" \t\n\v\f\r"):
                self._position += 1
            else:
                return


def _storable(code_point: int) -> int:
    if 0xD800 <= code_point <= 0xDFFF or code_point > LAST_CODE_POINT:
        _refuse("no such character")
    return code_point
