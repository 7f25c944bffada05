from __future__ import annotations

import time
from pathlib import Path

import pytest
from corpus.languages import LANGUAGES, written
from kayan_workers.media.code_pages import likeliest
from kayan_workers.media.documents.text import encoding_of

PAIRS = [(language, encoding) for language, texts in LANGUAGES.items() for encoding in texts.encodings.split()]
UNSURE = [("Romanian", "cp1250"), ("Romanian", "iso8859_2"), ("Japanese", "euc_jp")]
"""Whose names alone could be others': Mãdãlina, in Portuguese."""


def read(folder: Path, data: bytes) -> str:
    (folder / "text.txt").write_bytes(data)
    return data.decode(encoding_of(folder / "text.txt"))


@pytest.mark.parametrize(("language", "encoding"), PAIRS)
def test_a_text_is_read_in_any_code_page_of_its_language(tmp_path: Path, language: str, encoding: str) -> None:
    texts = LANGUAGES[language]
    letter, table, heading = (written(text, encoding) for text in (texts.letter, texts.table, texts.heading))
    if (language, encoding) not in UNSURE:
        assert read(tmp_path, written(texts.names, encoding).encode(encoding)) == written(texts.names, encoding)
    for text in (letter[:100], letter, (letter + "\n") * 8, table, table * 20, heading, "id,name,amount\n" * 4000 + table):
        assert read(tmp_path, text.encode(encoding)) == text


ENGLISH = ["{}\n", "Dear {}, please find attached our offer for the pavilion.\n", "name,company\nJohn Smith,LEAP\n{},Kayan\nAnn,Acme"]
NAMES = {
    "cp1252": "Zoë Brontë|José García|François Petit|Jürgen Groß|Søren Holm|Åsa Berg|Noël|Hélène|Núria|Maëlle|Café Zürich|£1200|50 °C"
    "|Kayan – Live|“Kayan”|Kayan’s|© Kayan|10 m²|½ day|€ 500|… and more|5 €|São Paulo|Málaga",
    "cp1256": "سارة|عمر|شركة كيان|محمد|ليب|مؤسسة النور|الرياض|جدة|شاشة|كراسي|قاعة|عبدالله|علي|خالد",
    "iso8859_6": "سارة|عمر|شركة كيان|محمد|ليب|مؤسسة النور|الرياض|جدة|شاشة|كراسي|قاعة|عبدالله|علي|خالد",
}


@pytest.mark.parametrize("encoding", NAMES)
@pytest.mark.parametrize("around", ENGLISH, ids=["alone", "in a letter", "in a table"])
def test_a_single_name_or_sign_is_taken_for_what_customers_write_most(tmp_path: Path, encoding: str, around: str) -> None:
    for name in NAMES[encoding].split("|"):
        text = around.format(name)
        assert read(tmp_path, text.encode(encoding)) == text


@pytest.mark.parametrize("language", ["Arabic", "Hebrew", "Japanese", "English"])
def test_a_megabyte_is_judged_as_fast_as_a_page(language: str) -> None:
    texts = LANGUAGES[language]
    encoding = texts.encodings.split()[0]
    data = (texts.letter * 3000).encode(encoding)[:1_000_000]
    likeliest(data)

    began = time.process_time()
    assert likeliest(data) == encoding
    assert time.process_time() - began < 0.5


def test_a_letter_cut_in_two_after_the_judged_piece_spoils_nothing(tmp_path: Path) -> None:
    for odd in ("", "x"):
        text = odd + LANGUAGES["Korean"].letter.replace("\n", "") * 40
        assert read(tmp_path, text.encode("cp949")) == text


def test_mails_from_korea_in_seven_bits_are_read(tmp_path: Path) -> None:
    text = "전시회 부스 견적서\n" * 3
    assert read(tmp_path, text.encode("iso2022_kr")) == text


def test_coloured_lines_of_a_terminal_are_ascii(tmp_path: Path) -> None:
    (tmp_path / "build.log").write_bytes(b"\x1b[31mfailed\x1b[0m: $B and $(cat)\n")
    assert encoding_of(tmp_path / "build.log") == "utf-8"
