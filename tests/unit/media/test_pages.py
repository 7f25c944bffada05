"""First pages that are set anew: text, tables, office files. Letters stand where a reader of their language looks for them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.documents import documents
from kayan_workers.media.examine import examine
from kayan_workers.media.file_type import FileType
from numpy.typing import NDArray
from PIL import Image

BOX = (800, 600)
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
SLIDE = 'xmlns:p="p" xmlns:a="a" xmlns:r="r"'
Ink = NDArray[np.bool_]


def package(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return path


def page_of(path: Path) -> Image.Image:
    assert documents.preview(path, path.with_name("page"), BOX)
    with Image.open(path.with_name("page")) as page:
        return page.convert("RGB")


def ink(page: Image.Image) -> Ink:
    """Where letters stand."""
    return np.asarray(page.convert("L")) < 128


def lines(marks: Ink) -> list[tuple[int, int]]:
    """First and last row of each line of letters."""
    rows = np.concatenate([[False], marks.any(axis=1), [False]])
    edges = np.flatnonzero(np.diff(rows.astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_plain_text_becomes_an_upright_page_with_a_margin(tmp_path: Path) -> None:
    page = page_of(written(tmp_path / "notes.txt", "The stand is open on three sides. " * 40))

    marks = ink(page)
    assert page.size == (424, 600)
    assert len(lines(marks)) > 10
    assert not marks[:30].any()
    assert not marks[:, :30].any()
    assert not marks[:, -30:].any()


def test_arabic_stands_at_the_right_and_is_joined(tmp_path: Path) -> None:
    arabic = ink(page_of(written(tmp_path / "a.txt", "مرحبا بكم")))
    apart = ink(page_of(written(tmp_path / "b.txt", " ".join("مرحبابكم"))))
    latin = ink(page_of(written(tmp_path / "c.txt", "Welcome")))

    assert np.nonzero(arabic)[1].min() > 212 > np.nonzero(latin)[1].max()
    pieces = [int(np.count_nonzero(np.diff(marks.any(axis=0).astype(int)) == 1)) for marks in (arabic, apart)]
    assert pieces[0] < pieces[1]


def test_text_in_an_arabic_code_page_looks_like_the_same_text_in_utf_8(tmp_path: Path) -> None:
    text = "السيد المحترم، نرفق لكم المخطط النهائي"
    pages = [page_of(written(tmp_path / f"{encoding}.txt", text.encode(encoding))) for encoding in ("utf-8", "cp1256", "utf-16-le")]

    assert pages[0].tobytes() == pages[1].tobytes() == pages[2].tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000, "<b>bold</b> & <span size='999999'>", "\0\1\2\x7f", "\ufffe\uffff", "a\u0301" * 5000, "\u202e abc", "🙂" * 3000,
        "\n" * 100_000 + "end",
    ],
    ids=["one word", "markup", "control", "no characters", "accents", "turned", "emoji", "empty lines"],
)
def test_any_text_ends_in_a_page_or_in_none(tmp_path: Path, text: str) -> None:
    documents.preview(written(tmp_path / "a.md", text), tmp_path / "page", BOX)


def test_what_looks_like_markup_is_set_as_it_stands(tmp_path: Path) -> None:
    marked = ink(page_of(written(tmp_path / "a.txt", "<b>x</b>")))
    plain = ink(page_of(written(tmp_path / "b.txt", "x")))

    assert np.ptp(np.nonzero(marked)[1]) > 4 * np.ptp(np.nonzero(plain)[1])


def test_headings_are_larger_than_what_stands_under_them(tmp_path: Path) -> None:
    marks = ink(page_of(written(tmp_path / "a.md", "# Heading\nHeading\n## Heading\n- Heading\n")))

    first, plain, second, item = (bottom - top for top, bottom in lines(marks))
    assert first > second > plain == item


def test_a_table_has_letters_above_and_numbers_beside_it(tmp_path: Path) -> None:
    page = page_of(written(tmp_path / "a.csv", "name,score\nSara,5\nOmar,4\n"))

    grid = np.asarray(page.convert("L"))
    assert page.size == BOX
    assert 200 < grid[5, 600] < 250
    assert (grid[:, 400] < 230).sum() > 20


def test_an_arabic_table_runs_from_the_right(tmp_path: Path) -> None:
    latin = ink(page_of(written(tmp_path / "a.csv", "name,company\nSara,Kayan\n")))
    arabic = ink(page_of(written(tmp_path / "b.csv", "الاسم,الشركة\nسارة,كيان\n")))

    assert np.nonzero(latin[30:60])[1].max() < 400 < np.nonzero(arabic[30:60])[1].min()


def test_html_shows_what_a_reader_sees(tmp_path: Path) -> None:
    head = "<!doctype html><title>Stand</title><style>p{}</style><script>evil()</script>"
    path = written(tmp_path / "a.html", head + "<h1>Hall</h1><p>Open &amp; wide")

    facts = documents.describe(path)

    assert (facts.metadata["title"], facts.custom["text"]) == ("Stand", "Hall\nOpen & wide")
    assert len(lines(ink(page_of(path)))) == 2


def word(path: Path, body: str, styles: str = "") -> Path:
    return package(path, {
        "[Content_Types].xml": "<Types/>", "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": f"<w:styles {WORD}>{styles}</w:styles>",
    })  # fmt: skip


def paragraph(text: str, style: str = "") -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'


def test_a_word_file_shows_its_headings_by_the_meaning_of_their_style(tmp_path: Path) -> None:
    styles = '<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
    path = word(tmp_path / "a.docx", paragraph("Angebot", "berschrift1") + paragraph("Angebot"), styles)

    heading, plain = (bottom - top for top, bottom in lines(ink(page_of(path))))

    assert heading > plain * 1.3


def renamed(path: Path, main: str) -> Path:
    """The same package with "2" after the name of its main part, and of a Word file's styles, as Office 365 writes them."""
    folder, _, name = main.partition("/")
    with zipfile.ZipFile(path) as file:
        old = {member: file.read(member) for member in file.namelist()}
    new = {member.replace(name, f"{name[:-4]}2.xml").replace("styles.xml", "styles2.xml"): content for member, content in old.items()}
    related = '<Relationships><Relationship Id="r1" Type="t/{}" Target="{}"/></Relationships>'.format
    styles = {f"{folder}/_rels/{name[:-4]}2.xml.rels": related("styles", "styles2.xml")} if folder == "word" else {}
    return package(path.with_stem("renamed"), {**new, **styles, "_rels/.rels": related("officeDocument", f"{folder}/{name[:-4]}2.xml")})


def test_parts_of_other_names_look_the_same(tmp_path: Path) -> None:
    styles = '<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
    text = word(tmp_path / "a.docx", paragraph("Angebot", "berschrift1"), styles)
    slides = deck(tmp_path / "a.pptx", "<p:sp><a:p><a:r><a:t>Concept</a:t></a:r></a:p></p:sp>")

    for path, main in ((text, "word/document.xml"), (slides, "ppt/presentation.xml")):
        assert page_of(renamed(path, main)).tobytes() == page_of(path).tobytes()


def test_a_word_file_shows_its_table_and_only_its_first_page(tmp_path: Path) -> None:
    rows = ["".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in row) for row in (("Item", "Price"), ("Wall", "5"))]
    first = paragraph("Before") + "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>"
    path = word(tmp_path / "a.docx", first + '<w:p><w:r><w:br w:type="page"/></w:r></w:p>' + paragraph("second " * 300))

    page = page_of(path)

    grid = np.asarray(page.convert("L"))
    assert ((grid > 180) & (grid < 240)).sum(axis=1).max() > 250
    assert not ink(page)[200:].any()


def test_a_text_box_that_is_written_twice_for_old_programs_is_shown_once(tmp_path: Path) -> None:
    inside = f"<mc:Choice>{paragraph('Box')}</mc:Choice><mc:Fallback>{paragraph('Box')}</mc:Fallback>"
    twice = f"<mc:AlternateContent xmlns:mc='m'>{inside}</mc:AlternateContent>"

    assert len(lines(ink(page_of(word(tmp_path / "a.docx", twice))))) == 1


def deck(path: Path, shapes: str, **members: str | bytes) -> Path:
    return package(path, {
        "[Content_Types].xml": "<Types/>",
        "ppt/presentation.xml": f'<p:p {SLIDE}><p:sldIdLst><p:sldId r:id="r7"/></p:sldIdLst><p:sldSz cx="12192000" cy="6858000"/></p:p>',
        "ppt/_rels/presentation.xml.rels": '<Relationships><Relationship Id="r7" Target="slides/slide2.xml"/></Relationships>',
        "ppt/slides/slide1.xml": f"<p:sld {SLIDE}/>",
        "ppt/slides/slide2.xml": f"<p:sld {SLIDE}><p:cSld>{shapes}</p:cSld></p:sld>",
        "ppt/slides/_rels/slide2.xml.rels": (
            '<Relationships><Relationship Id="r1" Target="../media/image1.png"/>'
            '<Relationship Id="r2" Target="file:///etc/passwd" TargetMode="External"/></Relationships>'
        ), **members,
    })  # fmt: skip


def test_the_first_slide_is_set_with_its_words_and_pictures_where_they_stand(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (200, 20, 20)).save(drawn := io.BytesIO(), "PNG")
    place = '<p:spPr><a:xfrm><a:off x="{}" y="{}"/><a:ext cx="4000000" cy="3000000"/></a:xfrm></p:spPr>'
    title = f'<p:sp><p:nvPr><p:ph type="title"/></p:nvPr>{place.format(500_000, 400_000)}<a:p><a:r><a:t>Concept</a:t></a:r></a:p></p:sp>'
    pictures = "".join(f'<p:pic><a:blip r:embed="{name}"/>{place.format(8_000_000, 3_600_000)}</p:pic>' for name in ("r1", "r2", "r9"))

    page = page_of(deck(tmp_path / "a.pptx", title + pictures, **{"ppt/media/image1.png": drawn.getvalue()}))

    assert page.size == (800, 450)
    assert ink(page.crop((0, 0, 400, 200))).sum() > 100
    assert page.getpixel((600, 300)) == pytest.approx((200, 20, 20), abs=12)


@pytest.mark.parametrize(("hides", "shown"), [("", "First"), ('show="1"', "First"), ('show="0"', "Second")])
def test_a_slide_that_is_hidden_does_not_stand_for_the_presentation(tmp_path: Path, hides: str, shown: str) -> None:
    words = "<p:cSld><p:sp><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:sp></p:cSld>".format
    path = package(tmp_path / "a.pptx", {
        "[Content_Types].xml": "<Types/>",
        "ppt/presentation.xml": f'<p:p {SLIDE}><p:sldIdLst><p:sldId r:id="r1"/><p:sldId r:id="r2"/></p:sldIdLst></p:p>',
        "ppt/_rels/presentation.xml.rels": (
            '<Relationships><Relationship Id="r1" Target="slides/slide1.xml"/>'
            '<Relationship Id="r2" Target="slides/slide2.xml"/></Relationships>'
        ),
        "ppt/slides/slide1.xml": f"<p:sld {SLIDE} {hides}>{words('First')}</p:sld>",
        "ppt/slides/slide2.xml": f"<p:sld {SLIDE}>{words('Second')}</p:sld>",
    })  # fmt: skip

    assert page_of(path).tobytes() == page_of(deck(tmp_path / "b.pptx", words(shown)[8:-9])).tobytes()


def test_a_sheet_shows_texts_numbers_dates_and_shares_as_excel_does(tmp_path: Path) -> None:
    """What stands in the cells is compared as pictures: the same words out of a CSV file look the same."""
    cells = (
        '<row r="1"><c r="A1" t="s"><v>1</v></c><c r="B1" t="inlineStr"><is><t>Since</t></is></c></row>'
        '<row r="3"><c r="A3"><v>1234.5</v></c><c r="B3" s="1"><v>46023</v></c><c r="C3" s="2"><v>0.25</v></c>'
        '<c r="D3" t="b"><v>1</v></c></row>'
    )
    path = package(tmp_path / "a.xlsx", {
        "[Content_Types].xml": "<Types/>", "xl/workbook.xml": '<workbook><sheets><sheet name="S"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": f"<worksheet><sheetData>{cells}</sheetData></worksheet>",
        "xl/sharedStrings.xml": "<sst><si><t>no</t></si><si><r><t>Na</t></r><r><t>me</t></r></si></sst>",
        "xl/styles.xml": (
            '<styleSheet><numFmts><numFmt numFmtId="170" formatCode="0.0%"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
            '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/></cellXfs></styleSheet>'
        ),
    })  # fmt: skip

    same = written(tmp_path / "b.csv", "Name,Since,,\n,,,\n1234.5,2026-01-01,25%,TRUE\n")

    assert page_of(path).tobytes() == page_of(same).tobytes()


def workbook(path: Path, sheets: str) -> Path:
    """Of two sheets: r1 says "costs", r2 says "prices"."""
    cells = '<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row></sheetData></worksheet>'.format
    return package(path, {
        "[Content_Types].xml": "<Types/>", "xl/workbook.xml": f'<workbook xmlns:r="r"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": (
            '<Relationships><Relationship Id="r1" Type="t/worksheet" Target="worksheets/sheet1.xml"/>'
            '<Relationship Id="r2" Type="t/worksheet" Target="/xl/worksheets/sheet2.xml"/></Relationships>'
        ),
        "xl/worksheets/sheet1.xml": cells("costs"), "xl/worksheets/sheet2.xml": cells("prices"),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("sheets", "shown"),
    [
        ('<sheet name="A" state="hidden" r:id="r1"/><sheet name="B" r:id="r2"/>', "prices"),
        ('<sheet name="A" state="veryHidden" r:id="r1"/><sheet name="B" state="visible" r:id="r2"/>', "prices"),
        ('<sheet name="B" r:id="r2"/><sheet name="A" r:id="r1"/>', "prices"),
        ('<sheet name="A" r:id="r1"/><sheet name="B" r:id="r2"/>', "costs"),
        ('<sheet name="C" r:id="r9"/><sheet name="B" r:id="r2"/>', "prices"),
        ("", "costs"),
        ("<sheet", "costs"),
    ],
)
def test_of_a_workbook_the_first_tab_that_is_not_hidden_is_shown(tmp_path: Path, sheets: str, shown: str) -> None:
    same = written(tmp_path / "same.csv", f"{shown}\n")

    assert page_of(workbook(tmp_path / "a.xlsx", sheets)).tobytes() == page_of(same).tobytes()


def test_an_open_document_shows_headings_lists_and_tables(tmp_path: Path) -> None:
    body = (
        "<t:h t:outline-level='1'>Stand</t:h><t:p>Body</t:p><t:list><t:list-item><t:p>Oak</t:p></t:list-item></t:list>"
        "<b:table><b:table-row><b:table-cell><t:p>a</t:p></b:table-cell><b:table-cell><t:p>b</t:p></b:table-cell></b:table-row></b:table>"
    )
    path = package(tmp_path / "a.odt", {
        "mimetype": "application/vnd.oasis.opendocument.text", "content.xml": f"<o:c xmlns:o='o' xmlns:t='t' xmlns:b='b'>{body}</o:c>",
    })  # fmt: skip

    found = lines(ink(page_of(path)))

    assert len(found) >= 4
    assert found[0][1] - found[0][0] > found[1][1] - found[1][0]


def test_an_empty_picture_of_a_template_does_not_stand_for_the_document(tmp_path: Path) -> None:
    Image.new("RGB", (300, 400), "white").save(empty := io.BytesIO(), "JPEG")
    path = word(tmp_path / "a.docx", paragraph("Words"))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("docProps/thumbnail.jpeg", empty.getvalue())

    assert ink(page_of(path)).any()


def test_a_document_without_a_word_has_no_page(tmp_path: Path) -> None:
    assert not documents.preview(word(tmp_path / "a.docx", ""), tmp_path / "page", BOX)


def ole(*streams: str) -> bytes:
    """An OLE file of one directory sector."""
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(30, b"\0") + b"\x09\0" + bytes(16) + (0).to_bytes(4, "little") + bytes(24)
    table = (1).to_bytes(4, "little") + b"\xff\xff\xff\xff" * 108
    names = [name.encode("utf-16-le") + b"\0\0" for name in ("Root Entry", *streams)]
    directory = b"".join(name.ljust(64, b"\0") + len(name).to_bytes(2, "little") + bytes(62) for name in names)
    chain = b"\xfe\xff\xff\xff" * 128
    return header + table + directory.ljust(512, b"\0") + chain


@pytest.mark.parametrize(
    ("stream", "name"), [("WordDocument", "DOC"), ("Workbook", "XLS"), ("Book", "XLS"), ("PowerPoint Document", "PPT"), ("Other", "OLE")]
)
def test_an_office_file_from_before_2007_is_named(tmp_path: Path, stream: str, name: str) -> None:
    path = written(tmp_path / "old.bin", ole(stream))

    for file_type in (FileType.DOCUMENT, FileType.OTHER):
        assert examine(path, file_type, Ffmpeg("no-ffmpeg")).facts.metadata == {"format": name, "inspected": False}


def test_a_workbook_in_binary_is_stored_without_being_looked_into(tmp_path: Path) -> None:
    path = package(tmp_path / "leads.xlsb", {"[Content_Types].xml": "<Types/>", "xl/workbook.bin": b"\x83\x01\0"})

    for file_type in (FileType.DOCUMENT, FileType.OTHER):
        assert examine(path, file_type, Ffmpeg("no-ffmpeg")).facts.metadata == {"format": "XLSB", "inspected": False}
    assert not documents.preview(path, tmp_path / "page", BOX)


def test_an_office_file_under_a_password_is_said_to_be(tmp_path: Path) -> None:
    path = written(tmp_path / "locked.docx", ole("EncryptionInfo", "EncryptedPackage"))

    with pytest.raises(PermanentError, match="protected by a password; upload one that is not"):
        documents.describe(path)


@pytest.mark.parametrize("cut", [20, 76, 400, 600])
def test_a_damaged_ole_file_keeps_its_secret(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "old.doc", ole("WordDocument")[:cut])

    assert documents.describe(path).metadata["format"] == "OLE"


def test_latin_letters_are_set_on_a_machine_without_fonts(tmp_path: Path) -> None:
    """In a process of its own, because a font once found stays."""
    path = written(tmp_path / "a.txt", "The stand is open on three sides.")
    (tmp_path / "fonts.conf").write_text("<fontconfig/>")
    program = (
        "import pathlib, sys\n"
        "from kayan_workers.media.documents import documents, typeset\n"
        "typeset._FONT, typeset._FONT_FOLDERS = pathlib.Path('/nowhere/a.ttf'), ('/nowhere',)\n"
        "documents.preview(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), (800, 600))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, path, tmp_path / "page"], check=False, capture_output=True, text=True,
        env={**os.environ, "FONTCONFIG_FILE": str(tmp_path / "fonts.conf")},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    marks = ink(Image.open(tmp_path / "page"))
    pieces = np.count_nonzero(np.diff(marks.any(axis=0).astype(int)) == 1)
    assert len(lines(marks)) == 1
    assert pieces > 15
