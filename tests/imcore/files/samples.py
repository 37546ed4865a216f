"""Small files that are what they say."""

import wave
from io import BytesIO

from PIL import Image


def image(width: int = 60, height: int = 40, format_: str = "PNG", mode: str = "RGB") -> bytes:
    """Return an image of one colour."""
    made = BytesIO()
    Image.new(mode, (width, height), 1).save(made, format_)
    return made.getvalue()


def tone(seconds: float = 1.5) -> bytes:
    """Return a recording of silence."""
    made = BytesIO()
    with wave.open(made, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(1)
        recording.setframerate(8000)
        recording.writeframes(b"\x80" * int(8000 * seconds))
    return made.getvalue()
