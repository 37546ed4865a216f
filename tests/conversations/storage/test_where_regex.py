r"""Patterns as clients write them, and as both engines read them."""

import os
import re
from collections.abc import Callable

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.storage.where_regex import translate
from imcore.errors import ConversationQueryFailed
from imcore.models import Application
from tests.conversations.storage.where_support import Document, found, matching, store

EXAMPLES = int(os.environ.get("IMCORE_WHERE_EXAMPLES", "60"))

Finds = Callable[[str, str, str], bool]


@pytest.fixture
def finds(application: Application) -> Finds:
    """Ask the database whether a pattern is found in a text."""

    def ask(pattern: str, text: str, options: str) -> bool:
        store(application, [{"objectId": "a", "name": text}])
        return found(application, {"name": {"$regex": pattern, "$options": options}}) == ["a"]

    return ask


@pytest.mark.parametrize(
    ("pattern", "text", "options", "expected"),
    [
        ("b", "abc", "", True),
        ("^b", "abc", "", False),
        ("B", "abc", "", False),
        ("B", "abc", "i", True),
        ("(?i)B", "abc", "", True),
        ("(?im)^B", "a\nb", "", True),
        ("^b", "a\nb", "", False),
        ("^b$", "a\nb\nc", "m", True),
        ("a.b", "a\nb", "", False),
        ("a.b", "a\nb", "s", True),
        ("a b # a comment", "ab", "x", True),
        (r"a\ b[ ]c", "a b c", "x", True),
        ("ab$", "ab\n", "", True),
        ("ab$", "ab\n\n", "", False),
        (r"ab\z", "ab\n", "", False),
        (r"ab\Z", "ab\n", "", True),
        # Quoting as the query builders write it: contains, startsWith, endsWith, and an embedded \E.
        (r"\Qa.b\E", "xa.by", "", True),
        (r"\Qa.b\E", "xaxby", "", False),
        (r"^\Qa.b\E", "a.b.c", "", True),
        (r"^\Qa.b\E", "za.b", "", False),
        (r"\Q*\E$", "a*", "", True),
        (r"\Qx\E\\E\Qy\E", r"x\Ey", "", True),
        (r"\Qx\E\\E\Qy\E", "xy", "", False),
        (r"\Qnever closed (", "never closed (", "", True),
        (r"\\Qa", r"\Qa", "", True),
        (r"[\Q^]\E]", "]", "", True),
        # The guides' own: "does not contain", and Chinese text.
        ("^((?!apple).)*$", "pear", "", True),
        ("^((?!apple).)*$", "an apple", "", False),
        (r"[\u4e00-\u9fa5]", "hello 世界", "", True),
        (r"[\u4e00-\u9fa5]", "hello", "", False),
        (r"^[^\u4E00-\u9FA5]+$", "hello", "", True),
        ("世.", "世界", "", True),
        (r"\uD83D\uDE00", "😀", "", True),
        (r"\x{1F600}", "😀", "", True),
        ("^.$", "😀", "", True),
        # ASCII sets, whatever the engine and its locale think.
        (r"^\w+$", "a_1", "", True),
        (r"\w", "中", "", False),
        (r"\d", "٣", "", False),
        (r"^\s+$", " \t\n", "", True),
        (r"\s", "\u00a0", "", False),
        (r"^[\s\S]+$", "a\n中", "", True),
        (r"\bfoo\b", "a foo.", "", True),
        (r"\bfoo\b", "afoo", "", False),
        (r"\Boo", "foo", "", True),
        ("^[[:alpha:]]+$", "abc", "", True),
        ("[[:^alpha:]]", "abc", "", False),
        (r"[\b]", "\b", "", True),
        ("[]a]", "]", "", True),
        ("[^]a]", "]a", "", False),
        ("[a-]", "-", "", True),
        (r"[\d-x]", "-", "", True),
        (r"[+--]", ",", "", True),
        ("[a&&b]", "&", "", True),
        ("[[a]", "[", "", True),
        (r"^[\x00-\x7F]*$", "ascii", "", True),
        (r"^[\x00-\x7F]*$", "中", "", False),
        (r"\0|a", "a", "", True),
        ("a{2}", "aa", "", True),
        ("a{2,}?b", "aab", "", True),
        ("^a{1,2}$", "aaa", "", False),
        ("a{,2}", "a{,2}", "", True),
        ("a{", "a{", "", True),
        ("(?<name>a)(?P<other>b)", "ab", "", True),
        ("(?<=a)b", "ab", "", True),
        ("(?<!a)b", "ab", "", False),
        ("foo(?!bar$)", "foobar", "", False),
        ("a||b", "", "", True),
        ("()", "", "", True),
        ("#", "#", "", True),
        ("it's %s 100%", "it's %s 100%", "", True),
    ],
)
def test_a_pattern_finds_what_pcre_would(finds: Finds, pattern: str, text: str, options: str, expected: bool) -> None:
    assert finds(pattern, text, options) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "(?", "(a", "a)", "[", "[]", "[^]", "[b-a]", "[[:nothing:]]", "*", "a**", "a{2}{3}", "a|*", "(+)",
        "a{3,2}", "a{256}", "^*", r"\b+", "(?=a)*", "\\", r"\u12", r"\uD83D", r"\uD83D\u0041", r"\uDE00", r"\x",
        r"\x{110000}", r"[\uD800-\uDFFF]", "a++", "a*+", "(?>a)", "(?i:a)", "a(?i)b", "(?R)", "(?1)", "(?#a)",
        r"\p{Han}", r"\R", r"\K", r"\k<a>", r"(a)\1", "(?<name>a)(?P=name)", "***", "***=a",
        "((a{255}){255}){255}", "(" * 31 + ")" * 31, "(" * 1000, "a" * 2049, "\ud800", "(*UTF8)a",
    ],
)  # fmt: skip
def test_a_pattern_beyond_the_common_dialect_is_refused(pattern: str) -> None:
    with pytest.raises(ConversationQueryFailed):
        translate(pattern)


@pytest.mark.parametrize("options", ["g", "iu", " ", "I"])
def test_unknown_options_are_refused(options: str) -> None:
    with pytest.raises(ConversationQueryFailed):
        translate("a", options)


def _according_to_python(pattern: str, options: str, documents: list[Document]) -> list[str]:
    """Return what Python's own `re` finds, which is neither engine."""
    translated = translate(pattern, options)
    flags = re.DOTALL | (re.IGNORECASE if "i" in options else 0) | (re.MULTILINE if "m" in options else 0)
    compiled = re.compile(translated.pattern, flags)
    return [document["objectId"] for document in documents if compiled.search(document["name"])]


_atoms = st.sampled_from(
    ["a", "b", "A", "1", " ", "中", ".", "[ab]", "[^a]", r"[^\n]", r"\w", r"\W", r"\d", r"[\S]", r"\n", r"\Q.\E"]
)
_assertions = st.sampled_from(["^", "$", r"\b", r"\B", r"\A", r"\Z", r"\z"])
_quantifiers = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}", "*?", "+?"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeated = st.builds("{}{}".format, st.one_of(_atoms, inner.map("(?:{})".format)), _quantifiers)
    return st.one_of(
        st.lists(st.one_of(repeated, repeated, _assertions, inner), min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join).map("(?:{})".format),
        inner.map("({})".format),
        st.builds("{}{})".format, st.sampled_from(["(?=", "(?!", "(?<=", "(?<!"]), inner),
    )


_patterns = st.recursive(st.one_of(_atoms, _assertions), _larger, max_leaves=8)


@st.composite
def patterns(draw: st.DrawFn) -> tuple[str, str]:
    return draw(_patterns), draw(st.sampled_from(["", "i", "m", "s", "im", "ims"]))


_texts = st.lists(st.text(alphabet="abAB1_ \n.中é", max_size=8), min_size=1, max_size=8)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(patterns(), min_size=1, max_size=10), _texts)
def test_the_database_finds_what_the_model_finds(written: list[tuple[str, str]], texts: list[str]) -> None:
    documents: list[Document] = [{"objectId": f"{number}", "name": text} for number, text in enumerate(texts)]
    with transaction.atomic():
        application = Application.objects.create(name="one example")
        store(application, documents)

        for pattern, options in written:
            query = {"name": {"$regex": pattern, "$options": options}}
            try:
                expected = _according_to_python(pattern, options, documents)
            except (ConversationQueryFailed, re.error):  # beyond the dialect; beyond Python's lookbehinds
                continue
            assert found(application, query) == matching(documents, query) == expected, (pattern, options)
        transaction.set_rollback(True)
