"""Golden frames: what goes over the wire, as text files that are read in review (tests/wire/frames/*.txt).

    assert_golden("conv_join", request, reply, *notices)

A file holds the frames one after the other, in protobuf's text format, with JSON spread over lines. What differs from
run to run is masked: times, ids (numbered, so that one can see which are the same), session tokens; `masks` names
further values. A file that is missing or outdated is written by `GOLDEN=write python -m pytest tests/wire`.
"""

import json
import os
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from google.protobuf import text_format

from imcore.protocol.message_pb2 import GenericCommand

FOLDER = Path(__file__).with_name("frames")

_JSON_LINE = re.compile(r'^( *)data: (".*")$', re.MULTILINE)
_TIME = re.compile(r"\b(?:1[6-9]\d{11}|20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)(?!\w)")
_OBJECT_ID = re.compile(r"()\b([0-9a-f]{24})\b")
_MESSAGE_ID = re.compile(r'(\b(?:id|ids|mid|tmid|uid|msgId|msg_mid)"?: ")([-\w]{22})(?=")')
_TOKEN = re.compile(r'(?<=\bst: ").*(?=")')


def assert_golden(name: str, *frames: GenericCommand, masks: Mapping[str, str] | None = None) -> None:
    """Assert that the frames, masked, are those of the file `name`."""
    text = _mask("\n".join(_written(frame) for frame in frames), masks or {})
    file = FOLDER / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8"), f"{file} differs; if that is meant, write it anew with GOLDEN=write"


def _written(frame: GenericCommand) -> str:
    text = text_format.MessageToString(frame, as_utf8=True)
    return _JSON_LINE.sub(_spread, text)


def _spread(line: re.Match[str]) -> str:
    """Spread JSON over lines; other text stays as it is."""
    indent, quoted = line.groups()
    try:
        value = json.loads(json.loads(quoted))
    except ValueError:
        return line.group()
    pretty = json.dumps(value, indent=2, ensure_ascii=False)
    return f"{indent}data: {pretty}".replace("\n", f"\n{indent}")


def _mask(text: str, masks: Mapping[str, str]) -> str:
    for value, mask in masks.items():
        text = text.replace(value, f"<{mask}>")
    text = _TIME.sub("<time>", text)
    text = _TOKEN.sub("<token>", text)
    text = _numbered(_OBJECT_ID, "id", text)
    return _numbered(_MESSAGE_ID, "message", text)


def _numbered(pattern: re.Pattern[str], label: str, text: str) -> str:
    numbers = count(1)
    seen: dict[str, int] = {}

    def mask(found: re.Match[str]) -> str:
        before, value = found.groups()
        if value not in seen:
            seen[value] = next(numbers)
        return f"{before}<{label} {seen[value]}>"

    return pattern.sub(mask, text)
