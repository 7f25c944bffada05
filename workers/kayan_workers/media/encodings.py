"""The encoding of a text that does not say it, where that is certain: UTF-8, UTF-16, UTF-32 and ISO 2022. Others: ``code_pages.py``."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

from kayan_workers.media.letters import script

MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
"""UTF-32 before UTF-16: the mark of the one begins with the other's."""
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_ISO_2022 = ("iso2022_jp", "iso2022_jp_ext", "iso2022_kr")
_ESCAPE = re.compile(rb"\x1b\$(?:[@B]|\([DOPQ]|\)C)")
_JUDGED_BYTES = 20_000
_SURE = 0.9
_REPLACEMENT = "\ufffd"
_GOOD_FOR_ONE_SPOILT = 20
"""Letters beyond ASCII. Of 3000 random words of ten letters in GB 18030 or Shift JIS, at most 6 in 10 of the letters passed for UTF-8."""
_FEWEST_ZEROS = 0.03
"""Of all bytes of UTF-16: half of each space and line end. A picture whose pixels happen to be letters has them in its head only."""


def marked(data: bytes) -> str | None:
    """What a byte order mark says."""
    return next((encoding for mark, encoding in MARKS if data.startswith(mark)), None)


def wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: its spaces and line ends have zeros in places where no other text has any."""
    head = data[:_JUDGED_BYTES]
    if head.count(0) < len(head) * _FEWEST_ZEROS or b"\0" not in data:
        return None
    scores = {encoding: _usual(text) for encoding in _WIDE if (text := read(head, encoding))}
    best = max(scores, key=scores.__getitem__, default=None)
    return best if best is not None and scores[best] > _SURE else None


def nearly_utf_8(chunks: Iterable[bytes]) -> bool:
    """Whether a text is UTF-8 but for a few spoilt bytes, or for its last letter, which was cut in two."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = spoilt = 0
    for chunk in chunks:
        text = decoder.decode(chunk)
        wrong = text.count(_REPLACEMENT)
        spoilt += wrong
        good += len(text) - len(text.encode("ascii", "ignore")) - wrong
    return good > 0 and spoilt * _GOOD_FOR_ONE_SPOILT <= good


def escaped(data: bytes) -> str | None:
    """ISO 2022 of Japanese or Korean mails: seven bits, which pass for ASCII but for the sequences that switch between alphabets."""
    switch = _ESCAPE.search(data)
    if switch is None:
        return None
    piece = data[switch.start() :][:_JUDGED_BYTES]
    return next((encoding for encoding in _ISO_2022 if read(piece, encoding) is not None), None)


def read(data: bytes, encoding: str) -> str | None:
    """Text in an encoding, None where it breaks that encoding's rules. A letter cut in two at the end breaks none."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None


def _usual(text: str) -> float:
    """The share of characters that are Latin, Arabic or Cyrillic. East Asia's do not count: almost any two bytes are one of them."""
    scripts = [script(character) for character in text]
    return (scripts.count("latin") + scripts.count("arabic") + scripts.count("cyrillic")) / max(1, len(scripts))
