"""How much a text looks like one that people write: by its letters, and by what stands beside them."""

from __future__ import annotations

import unicodedata

_ARABIC, _CYRILLIC = "الينمورتبسعدهفكحقجةطصشضخز", "оеаинтсрвлкмдпуяыьгзбчй"
"""Letters by how often they are written; a wrong code page turns common ones into rare ones."""
_LATIN = "éèáàíóúüöäñçãâêîôëïßøåæœÉÖÄÜÇÑ"
_SIGNS = set("“”‘’«»–—…•€£°²³½×·©®™№،؛؟ـ、。「」・（）：，！？ー％")


def script(character: str) -> str:
    """Which script of those that most customers write."""
    if character in "\t\r\n" or " " <= character <= "~" or character in _SIGNS or "\xa0" <= character <= "\u017f":
        return "latin"
    if "\u0600" <= character <= "\u06ff":
        return "arabic"
    if "\u0400" <= character <= "\u045f":
        return "cyrillic"
    return "asia" if "\u3040" <= character <= "\u30ff" or "\u4e00" <= character <= "\u9fff" else "other"


def familiar(text: str) -> float:
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
        return 0.55 if any(script(other) == "asia" for other in beside) else 0.2
    return 0.0 if character.isspace() or not character.isalnum() else -0.5
