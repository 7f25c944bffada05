"""The encoding of a text that does not say it.

UTF-8 and the marks of UTF-16 and UTF-32 are certain. For the rest, the text is read in each encoding that this app's customers may
have, and the one wins in which it looks most like a text. A general detector was measured beside this (charset-normalizer 3.5: it took
"Le café est prêt" for Central European and Arabic of ISO 8859-6 for Hebrew or Thai), which is why the few candidates are judged here.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable

MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
"""UTF-32 before UTF-16: the mark of the one begins with the other's."""
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_BYTEWISE = ("cp1252", "cp1256", "iso8859_6", "cp1251", "cp932", "gb18030")
_JUDGED_BYTES = 20_000
_ARABIC, _CYRILLIC = "الينمورتبسعدهفكحقجةطصشضخز", "оеаинтсрвлкмдпуяыьгзбчй"
"""Letters by how often they are written; a wrong code page turns common ones into rare ones."""
_LATIN = "éèáàíóúüöäñçãâêîôëïßøåæœÉÖÄÜÇÑ"
_SIGNS = set("“”‘’«»–—…•€£°²³½×·©®™№،؛؟ـ、。「」・（）：，！？ー％")
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
    if data[:_JUDGED_BYTES].count(0) < len(data[:_JUDGED_BYTES]) * _FEWEST_ZEROS or b"\0" not in data:
        return None
    scores = {encoding: _usual(text) for encoding in _WIDE if (text := _read(data, encoding))}
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


def bytewise(data: bytes) -> str:
    """The code page in which text that is no UTF-8 makes the most sense; cp1252 if it makes none anywhere."""
    scores = {encoding: _score(text) for encoding in _BYTEWISE if (text := _read(data, encoding))}
    return max(scores, key=scores.__getitem__, default="cp1252")


def _read(data: bytes, encoding: str) -> str | None:
    """The beginning in an encoding, None where it breaks that encoding's rules. A letter cut in two at the end breaks none."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data[:_JUDGED_BYTES])
    except UnicodeDecodeError:
        return None


def _usual(text: str) -> float:
    """The share of characters that are Latin, Arabic or Cyrillic. East Asia's do not count: almost any two bytes are one of them."""
    scripts = [_script(character) for character in text]
    return (scripts.count("latin") + scripts.count("arabic") + scripts.count("cyrillic")) / max(1, len(scripts))


def _script(character: str) -> str:
    if character in "\t\r\n" or " " <= character <= "~" or character in _SIGNS or "\xa0" <= character <= "\u017f":
        return "latin"
    if "\u0600" <= character <= "\u06ff":
        return "arabic"
    if "\u0400" <= character <= "\u045f":
        return "cyrillic"
    return "asia" if "\u3040" <= character <= "\u30ff" or "\u4e00" <= character <= "\u9fff" else "other"


def _score(text: str) -> float:
    """The mean of what each character beyond ASCII is worth where it stands, from -2 (never) to 1 (common)."""
    worth = [_worth(text, at) for at, character in enumerate(text) if character > "~"]
    return sum(worth) / len(worth) if worth else 0.0


def _worth(text: str, at: int) -> float:
    character = text[at]
    beside = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
    if character in _SIGNS:
        return 0.5
    if not character.isprintable() or unicodedata.category(character) in ("Cn", "Co", "Cc"):
        return -2.0
    if "\u0600" <= character <= "\u06ff":
        near = sum("\u0600" <= other <= "\u06ff" for other in beside)
        alone = 0.3 * (near == 0) + 1.5 * any(other.isascii() and other.isalpha() for other in beside)
        return (1.0 - 0.03 * _ARABIC.index(character) if character in _ARABIC else -0.2) - alone
    if "\u0400" <= character <= "\u045f":
        near = sum("\u0400" <= other <= "\u045f" for other in beside)
        case = 0.5 * (character.isupper() and any(other.islower() for other in text[max(0, at - 1) : at]))
        return (0.95 - 0.03 * _CYRILLIC.index(character.lower()) if character.lower() in _CYRILLIC else -0.2) - case - (near == 0)
    if "\u00c0" <= character <= "\u017f":
        near = any(other.isascii() and other.isalpha() for other in beside)
        crowded = any("\u00c0" <= other <= "\u00ff" for other in beside)
        return (1.0 if character in _LATIN and near else 0.2 if near else -0.5) - 0.6 * crowded
    if "\u3040" <= character <= "\u30ff":
        return 0.9
    if "\u4e00" <= character <= "\u9fff":
        return 0.55 if any(_script(other) == "asia" for other in beside) else 0.2
    return 0.0 if character.isspace() or not character.isalnum() else -0.5
