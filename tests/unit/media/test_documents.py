"""Documents: pages, words, author and first page; broken, locked and hostile ones refused."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from corpus.documents import form_pdf, rc4
from kayan_workers.demo.samples import docx, pdf
from kayan_workers.errors import PermanentError
from kayan_workers.media.documents import documents, office
from kayan_workers.media.documents import package as package_files
from PIL import Image

WORD = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{}</w:body></w:document>'


def package(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def word(path: Path, body: str) -> Path:
    return package(path, {"[Content_Types].xml": "<Types/>", "word/document.xml": body})


def test_a_pdf_tells_pages_title_author_and_text(tmp_path: Path) -> None:
    path = tmp_path / "proposal.pdf"
    path.write_bytes(pdf(["Hall one", "Hall two", "Hall three"], title="Stand (final)", author="Mona"))

    facts = documents.describe(path)

    assert facts.metadata == {"format": "PDF", "pages": 3, "title": "Stand (final)", "author": "Mona", "words": 6}
    assert facts.custom["text"] == "Hall one\nHall two\nHall three"


def test_the_first_page_of_a_pdf_is_drawn_on_white_at_the_size_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "proposal.pdf"
    path.write_bytes(pdf(["Hall one"]))

    assert documents.preview(path, tmp_path / "page", (800, 600))

    with Image.open(tmp_path / "page") as page:
        assert page.height == 600
        assert page.width == pytest.approx(600 * 595 / 842, abs=2)
        assert page.getpixel((2, 2)) == (255, 255, 255)
        red, green, _ = page.getpixel((page.width // 2, page.height * 7 // 8))  # type: ignore[misc]
        assert red > 150 > green


def test_what_was_filled_into_a_form_is_seen(tmp_path: Path) -> None:
    """The mark of its field is a black block, which stands in the field and not on the page."""
    path = tmp_path / "order.pdf"
    path.write_bytes(form_pdf(b"0 g 0 0 200 20 re f"))

    assert documents.preview(path, tmp_path / "page", (595, 842))

    with Image.open(tmp_path / "page") as page:
        assert page.getpixel((160, 842 - 610)) == (0, 0, 0)
        assert page.getpixel((160, 842 - 500)) == (255, 255, 255)


@pytest.mark.parametrize("content", [b"%PDF-1.4\nnothing of the kind", pdf(["a", "b"])[:200], b"%PDF-1.7\n%%EOF"])
def test_a_broken_pdf_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(content)

    with pytest.raises(PermanentError, match="PDF"):
        documents.describe(path)


def test_a_locked_pdf_asks_for_its_password(tmp_path: Path) -> None:
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (%s) /U (%s) >> /ID [(a) (a)]" % (b"o" * 32, b"u" * 32)
    path = tmp_path / "locked.pdf"
    path.write_bytes(pdf(["secret"]).replace(b"/Root 1 0 R", b"/Root 1 0 R " + lock))

    with pytest.raises(PermanentError, match="password"):
        documents.describe(path)


def test_a_pdf_that_only_forbids_printing_opens_without_a_password(tmp_path: Path) -> None:
    """Such files are encrypted under an empty password (PDF 1.7, algorithms 2 to 4)."""
    padding = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
    owner = rc4(hashlib.md5(padding).digest()[:5], padding)
    key = hashlib.md5(padding + owner + (-44).to_bytes(4, "little", signed=True) + b"a").digest()[:5]
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O <%s> /U <%s> >> /ID [(a) (a)]" % (
        owner.hex().encode(), rc4(key, padding).hex().encode(),
    )  # fmt: skip
    path = tmp_path / "locked.pdf"
    path.write_bytes(pdf(["one", "two"]).replace(b"/Root 1 0 R", b"/Root 1 0 R " + lock))

    assert documents.describe(path).metadata["pages"] == 2
    assert documents.preview(path, tmp_path / "page", (800, 600))


PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>"


@pytest.mark.parametrize(
    ("kids", "count", "page"),
    [
        (b"4 0 R " * 200_000, 200_000, PAGE),
        (b"4 0 R", 2_000_000_000, PAGE),
        (b"2 0 R 4 0 R", 2, PAGE),
        (b"4 0 R", 1, PAGE.replace(b"595 842", b"100000000 100000000")),
        (b"4 0 R", 1, PAGE.replace(b"595 842", b"100000000 1")),
        (b"4 0 R", 1, PAGE.replace(b"595 842", b"nan -5")),
        (b"4 0 R", 1, PAGE.replace(b"842]", b"842] /UserUnit 1e9")),
        (b"4 0 R", 1, PAGE + b" " + b"[" * 100_000),
    ],
    ids=["one page 200,000 times", "a count that lies", "a circle", "a huge page", "a thin page", "no size", "a huge unit", "nested"],
)
def test_a_pdf_that_claims_too_much_is_read_within_bounds(tmp_path: Path, kids: bytes, count: int, page: bytes) -> None:
    whole = pdf(["x"])
    path = tmp_path / "bomb.pdf"
    start = whole.index(b"<< /Type /Pages")
    content = whole.replace(whole[start : whole.index(b"endobj", start)], b"<< /Type /Pages /Kids [%s] /Count %d >>\n" % (kids, count))
    start = content.index(b"<< /Type /Page /Parent")
    path.write_bytes(content.replace(content[start : content.index(b"endobj", start)], page + b"\n"))

    assert int(str(documents.describe(path).metadata["pages"])) >= 1
    assert documents.preview(path, tmp_path / "page", (800, 600))
    with Image.open(tmp_path / "page") as drawn:
        assert max(drawn.size) <= 801


def test_a_pdf_without_pages_is_not_blamed_for_the_password_of_another(tmp_path: Path) -> None:
    test_a_locked_pdf_asks_for_its_password(tmp_path)
    path = tmp_path / "empty.pdf"
    path.write_bytes(pdf([]))

    with pytest.raises(PermanentError, match="damaged"):
        documents.describe(path)


def test_a_word_file_tells_pages_author_and_text(tmp_path: Path) -> None:
    docx(tmp_path / "brief.docx", ["مرحبا & welcome", "Second <line>"], title="Brief", author="Mona", pages=7)

    facts = documents.describe(tmp_path / "brief.docx")

    assert facts.metadata == {"format": "DOCX", "pages": 7, "title": "Brief", "author": "Mona", "words": 5}
    assert facts.custom["text"] == "مرحبا & welcome\nSecond <line>"


def relations(**targets: str) -> str:
    """A list of what belongs to a part, by the last word of its type."""
    named = (f'<Relationship Id="{kind}" Type="http://x/{kind}" Target="{target}"/>' for kind, target in targets.items())
    return f"<Relationships>{''.join(named)}</Relationships>"


@pytest.mark.parametrize("target", ["word/document2.xml", "/word/document2.xml"])
def test_a_word_file_is_read_whatever_its_main_part_is_called(tmp_path: Path, target: str) -> None:
    body = WORD.format("<w:p><w:r><w:t>Stand brief</w:t></w:r></w:p>")
    path = package(tmp_path / "brief.docx", {
        "[Content_Types].xml": "<Types/>", "_rels/.rels": relations(officeDocument=target), "word/document2.xml": body,
    })  # fmt: skip

    assert documents.describe(path).custom["text"] == "Stand brief"
    assert documents.preview(path, tmp_path / "page", (800, 600))


@pytest.mark.parametrize("broken", ["<Relationships>", relations(officeDocument="word/gone.xml")], ids=["damaged", "of what is not there"])
def test_a_list_of_parts_that_leads_nowhere_leaves_the_usual_name(tmp_path: Path, broken: str) -> None:
    body = WORD.format("<w:p><w:r><w:t>Stand brief</w:t></w:r></w:p>")
    path = package(tmp_path / "brief.docx", {"[Content_Types].xml": "<Types/>", "_rels/.rels": broken, "word/document.xml": body})

    assert documents.describe(path).custom["text"] == "Stand brief"


def test_a_list_of_parts_without_end_is_read_within_bounds(tmp_path: Path) -> None:
    one = '<Relationship Id="r" Type="t/styles" Target="word/gone.xml"/>'
    body = WORD.format("<w:p><w:r><w:t>Stand brief</w:t></w:r></w:p>")
    path = package(tmp_path / "brief.docx", {
        "[Content_Types].xml": "<Types/>", "_rels/.rels": f"<Relationships>{one * 200_000}</Relationships>", "word/document.xml": body,
    })  # fmt: skip
    tracemalloc.start()

    facts = documents.describe(path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert facts.custom["text"] == "Stand brief"
    assert peak < 20_000_000


def test_the_parts_of_a_workbook_are_found_whatever_they_are_called(tmp_path: Path) -> None:
    path = package(tmp_path / "leads.xlsx", {
        "[Content_Types].xml": "<Types/>", "_rels/.rels": relations(officeDocument="xl/workbook2.xml"),
        "xl/workbook2.xml": '<workbook><sheets><sheet name="Leads"/></sheets></workbook>',
        "xl/_rels/workbook2.xml.rels": relations(sharedStrings="sharedStrings2.xml"),
        "xl/sharedStrings2.xml": "<sst><si><t>Sara</t></si></sst>",
        "xl/worksheets/sheet1.xml": '<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c></row></sheetData></worksheet>',
    })  # fmt: skip

    facts = documents.describe(path)

    assert (facts.metadata["sheetNames"], facts.custom["text"]) == (["Leads"], "Sara")
    assert documents.preview(path, tmp_path / "page", (800, 600))


def test_slides_are_counted_and_read_in_their_order(tmp_path: Path) -> None:
    slides = {f"ppt/slides/slide{n}.xml": f'<p:sld xmlns:p="p" xmlns:a="a"><a:p><a:t>slide {n}</a:t></a:p></p:sld>' for n in (10, 2, 1)}
    path = package(tmp_path / "deck.pptx", {"[Content_Types].xml": "<Types/>", **slides})

    facts = documents.describe(path)

    assert facts.metadata["slides"] == 3
    assert facts.custom["text"] == "slide 1\nslide 2\nslide 10"


def test_sheets_are_counted_and_named(tmp_path: Path) -> None:
    path = package(tmp_path / "leads.xlsx", {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": '<workbook xmlns="m"><sheets><sheet name="Leads"/><sheet name="ملخص"/></sheets></workbook>',
        "xl/sharedStrings.xml": '<sst xmlns="m"><si><t>Sara</t></si><si><t>Omar</t></si></sst>',
    })  # fmt: skip

    facts = documents.describe(path)

    assert facts.metadata["sheets"] == 2
    assert facts.metadata["sheetNames"] == ["Leads", "ملخص"]
    assert facts.custom["text"] == "Sara\nOmar"


def test_texts_that_stand_in_the_cells_themselves_are_found_too(tmp_path: Path) -> None:
    path = package(tmp_path / "leads.xlsx", {
        "[Content_Types].xml": "<Types/>", "xl/workbook.xml": '<workbook><sheets><sheet name="Leads"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": '<worksheet><row><c t="inlineStr"><is><t>Sara</t></is></c><c><v>7</v></c></row></worksheet>',
    })  # fmt: skip

    assert documents.describe(path).custom["text"] == "Sara"


def test_texts_in_cells_are_found_beside_those_that_sheets_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = '<worksheet><row><c t="s"><v>0</v></c><c t="inlineStr"><is><t>{}</t></is></c></row></worksheet>'.format
    path = package(tmp_path / "leads.xlsx", {
        "[Content_Types].xml": "<Types/>", "xl/workbook.xml": '<workbook><sheets><sheet name="Leads"/></sheets></workbook>',
        "xl/sharedStrings.xml": "<sst><si><t>Sara</t></si></sst>",
        "xl/worksheets/sheet1.xml": cell("Omar"), "xl/worksheets/sheet2.xml": cell("Mona"),
    })  # fmt: skip

    assert str(documents.describe(path).custom["text"]).split() == ["Sara", "Omar", "Mona"]

    monkeypatch.setattr(office, "_MAX_SHEETS", 200)  # the shared texts and one sheet
    assert str(documents.describe(path).custom["text"]).split() == ["Sara", "Omar"]

    monkeypatch.setattr(office, "_MAX_SHEETS", 10)
    assert documents.describe(path).custom["text"] == "Sara"


def test_an_open_document_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "brief.odt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        counted = '<m:document-statistic m:page-count="4"/>'
        file.writestr("meta.xml", f'<o:meta xmlns:o="o" xmlns:m="m" xmlns:dc="dc"><dc:title>Brief</dc:title>{counted}</o:meta>')
        file.writestr("content.xml", '<o:c xmlns:o="o" xmlns:t="t"><t:h>Head</t:h><t:p>Body <t:span>text</t:span></t:p></o:c>')

    facts = documents.describe(path)

    assert facts.metadata["pages"] == 4
    assert facts.metadata["title"] == "Brief"
    assert facts.custom["text"] == "Head\nBody text"


def manifest(*entries: str, locked: str) -> str:
    """As LibreOffice writes it, with the document type of older programs."""
    lock = '<m:encryption-data m:checksum="x"><m:algorithm m:algorithm-name="aes256-cbc"/></m:encryption-data>'
    listed = "".join(f'<m:file-entry m:full-path="{name}">{lock if name == locked else ""}</m:file-entry>' for name in entries)
    declared = '<!DOCTYPE m:manifest PUBLIC "-//OpenOffice.org//DTD Manifest 1.0//EN" "Manifest.dtd">'
    return f'{declared}<m:manifest xmlns:m="m">{listed}</m:manifest>'


@pytest.mark.parametrize(("kind", "suffix"), [("text", "odt"), ("spreadsheet", "ods"), ("presentation", "odp")])
@pytest.mark.parametrize("locked", ["content.xml", "encrypted-package"])
def test_an_open_document_under_a_password_is_said_to_be(tmp_path: Path, kind: str, suffix: str, locked: str) -> None:
    path = tmp_path / f"locked.{suffix}"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        file.writestr(locked, bytes(range(256)))
        file.writestr("META-INF/manifest.xml", manifest("/", locked, locked=locked))

    with pytest.raises(PermanentError, match="protected by a password; upload one that is not"):
        documents.describe(path)
    with pytest.raises(PermanentError, match="protected by a password"):
        documents.preview(path, tmp_path / "page", (800, 600))


@pytest.mark.parametrize("listed", [manifest("content.xml", "Basic/A/M.xml", locked="Basic/A/M.xml"), "<m:manifest"])
def test_an_open_document_is_read_beside_a_locked_macro_or_a_spoilt_manifest(tmp_path: Path, listed: str) -> None:
    path = tmp_path / "brief.odt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        file.writestr("content.xml", '<o:c xmlns:o="o" xmlns:t="t"><t:p>Body</t:p></o:c>')
        file.writestr("META-INF/manifest.xml", listed)

    assert documents.describe(path).custom["text"] == "Body"


@pytest.mark.parametrize("claimed", ["0", "-3", "99999999999999999999", "²", "1e3", "many"])
def test_a_number_of_pages_that_no_program_wrote_is_not_repeated(tmp_path: Path, claimed: str) -> None:
    path = tmp_path / "brief.odt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        file.writestr("meta.xml", f'<o:meta xmlns:o="o" xmlns:m="m"><m:document-statistic m:page-count="{claimed}"/></o:meta>')
        file.writestr("content.xml", '<o:c xmlns:o="o" xmlns:t="t"><t:p>Body</t:p></o:c>')

    assert "pages" not in documents.describe(path).metadata


def test_the_picture_a_package_carries_is_its_preview(tmp_path: Path) -> None:
    drawn = io.BytesIO()
    Image.new("RGB", (64, 48), (1, 2, 3)).save(drawn, "JPEG")
    path = package(tmp_path / "deck.pptx", {
        "[Content_Types].xml": "<Types/>", "ppt/presentation.xml": "<p/>", "docProps/thumbnail.jpeg": drawn.getvalue(),
    })  # fmt: skip

    assert documents.preview(path, tmp_path / "page", (800, 600))
    assert Image.open(tmp_path / "page").size == (64, 48)


@pytest.mark.parametrize(
    "members",
    [
        {"Index/Document.iwa": "", "preview.jpg": "picture"},
        {"mimetype": "application/vnd.oasis.opendocument.graphics", "Thumbnails/thumbnail.png": "picture"},
        {"mimetype": "application/x-krita", "mergedimage.png": "picture"},
        {"mimetype": "image/openraster", "mergedimage.png": "picture", "Thumbnails/thumbnail.png": "another"},
        {"mimetype": "application/x-vnd.corel.zcf.draw.document+zip", "previews/thumbnail.png": "picture"},
    ],
)
def test_the_picture_that_pages_keynote_and_drawing_programs_leave_in_a_file_is_its_preview(
    tmp_path: Path, members: dict[str, str]
) -> None:
    drawn = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).save(drawn, "PNG")
    path = tmp_path / "stand"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, drawn.getvalue() if content == "picture" else content)

    assert documents.preview(path, tmp_path / "page", (800, 600))
    assert Image.open(tmp_path / "page").size == (64, 48)


@pytest.mark.parametrize(
    "hostile",
    [
        '<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + WORD.format("<w:p><w:t>&b;</w:t></w:p>"),
        '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + WORD.format("<w:p><w:t>&x;</w:t></w:p>"),
        '<!DOCTYPE w SYSTEM "http://127.0.0.1:1/evil.dtd">' + WORD.format(""),
    ],
    ids=["multiplying", "reading a file", "fetching"],
)
def test_declarations_in_office_xml_are_refused(tmp_path: Path, hostile: str) -> None:
    with pytest.raises(PermanentError, match="refused"):
        documents.describe(word(tmp_path / "evil.docx", hostile))


@pytest.mark.parametrize("encoding", ["EBCDIC-CP-BEIC-CP-BE", "utf-7", "big5", "rot13", "base64"])
def test_xml_in_an_encoding_that_nobody_reads_is_damaged(tmp_path: Path, encoding: str) -> None:
    path = word(tmp_path / "odd.docx", f'<?xml version="1.0" encoding="{encoding}"?>' + WORD.format("<w:p/>"))

    with pytest.raises(PermanentError, match="its XML is damaged"):
        documents.describe(path)
    with pytest.raises(PermanentError, match="its XML is damaged"):
        documents.preview(path, tmp_path / "page", (800, 600))


def test_xml_without_a_bottom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="nested"):
        documents.describe(word(tmp_path / "deep.docx", "<a>" * 100_000))


def test_a_package_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_files, "_MAX_UNPACKED", 1_000_000)

    with pytest.raises(PermanentError, match="unpacks to more than"):
        documents.describe(word(tmp_path / "bomb.docx", WORD.format(" " * 5_000_000)))


def test_text_is_kept_up_to_a_limit(tmp_path: Path) -> None:
    docx(tmp_path / "long.docx", ["word " * 100] * 1000)

    text = documents.describe(tmp_path / "long.docx").custom["text"]

    assert isinstance(text, str)
    assert len(text) == documents.MAX_TEXT


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[: len(data) // 2], "not a document we can read"),
        (lambda data: data.replace(b"word/document.xml", b"word/documemt.xml"), "missing"),
    ],
    ids=["broken off", "part missing"],
)
def test_a_damaged_office_file_is_refused(tmp_path: Path, damage: object, words: str) -> None:
    docx(tmp_path / "whole.docx", ["text"])
    path = tmp_path / "broken.docx"
    assert callable(damage)
    path.write_bytes(damage((tmp_path / "whole.docx").read_bytes()))

    with pytest.raises(PermanentError, match=words):
        documents.describe(path)


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        ("مرحبا hello".encode(), "utf-8", "مرحبا hello"),
        ("\ufeffمرحبا".encode(), "utf-8", "مرحبا"),
        ("مرحبا".encode("utf-16"), "utf-16", "مرحبا"),
        ("مرحبا بكم في كيان".encode("cp1256"), "cp1256", "مرحبا بكم في كيان"),
        ("Le café est prêt, déjà".encode("cp1252"), "cp1252", "Le café est prêt, déjà"),
        ("Price: £1,200 – 10% off".encode("cp1252"), "cp1252", "Price: £1,200 – 10% off"),
        ("name;city\nJosé;São Paulo\nZoë;Köln\n".encode("cp1252"), "cp1252", "name;city\nJosé;São Paulo\nZoë;Köln\n"),
        ("name,company\nSara,شركة كيان\n".encode("cp1256"), "cp1256", "name,company\nSara,شركة كيان\n"),
        ("قائمة الأصناف والكميات".encode("iso8859_6"), "iso8859_6", "قائمة الأصناف والكميات"),
        ("Добрый день, высылаем смету".encode("cp1251"), "cp1251", "Добрый день, высылаем смету"),
        ("会社名,担当者\n株式会社カヤン".encode("cp932"), "cp932", "会社名,担当者\n株式会社カヤン"),
        ("请查看展台设计方案和报价单".encode("gb18030"), "gb18030", "请查看展台设计方案和报价单"),
        *[("مرحبا hello".encode(wide), wide, "مرحبا hello") for wide in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")],
        ("مرحبا".encode("utf-32"), "utf-32", "مرحبا"),
        (b"\0\0\xfe\xff" + "مرحبا".encode("utf-32-be"), "utf-32", "مرحبا"),
        (b"\xfe\xff" + "مرحبا".encode("utf-16-be"), "utf-16", "مرحبا"),
    ],
)
def test_text_is_read_in_the_encoding_it_was_written_in(tmp_path: Path, data: bytes, encoding: str, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(data)

    facts = documents.describe(path)

    assert facts.metadata["encoding"] == encoding
    assert facts.custom["text"] == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("عرض السعر النهائي".encode() + b"\xff" + " للجناح في الرياض".encode(), "عرض السعر النهائي\ufffd للجناح في الرياض"),
        ("عرض السعر".encode()[:-1], "عرض السع\ufffd"),
        ("请查看展台".encode()[:-1], "请查看展\ufffd"),
        (b"a\n" * 600_000 + "مرحبا بكم في كيان وشكرا لكم".encode() + b"\xc3\n", None),
    ],
    ids=["one spoilt byte", "cut in two", "cut in three", "spoilt after the first piece"],
)
def test_a_spoilt_byte_does_not_turn_utf_8_into_another_encoding(tmp_path: Path, data: bytes, text: str | None) -> None:
    (tmp_path / "notes.txt").write_bytes(data)

    facts = documents.describe(tmp_path / "notes.txt")

    assert facts.metadata["encoding"] == "utf-8"
    assert text is None or facts.custom["text"] == text


@pytest.mark.parametrize(
    ("text", "encoding"), [("café", "cp1252"), ("Le café Ã© est prêt, déjà", "cp1252"), ("莫默谋某母墓亩木目睦牧穆", "gb18030")]
)
def test_a_few_letters_that_pass_for_utf_8_do_not_make_it_that(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "notes.txt").write_bytes(text.encode(encoding))

    assert documents.describe(tmp_path / "notes.txt").metadata["encoding"] == encoding


def test_a_text_larger_than_what_is_kept_is_read_to_its_end_without_standing_in_memory_whole(tmp_path: Path) -> None:
    path = tmp_path / "visitors.csv"
    row = "Sara Al-Harbi;LEAP 2026;" + "x" * 2000 + "\r\n"
    with path.open("w", newline="") as file:
        for _ in range(30):
            file.write(row * 1000)
    tracemalloc.start()

    facts = documents.describe(path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 60_000_000
    assert (facts.metadata["lines"], facts.metadata["rows"], facts.metadata["columns"]) == (30_000, 30_000, 3)
    assert len(str(facts.custom["text"])) == documents.MAX_TEXT
    assert peak < path.stat().st_size / 4


def test_a_letter_cut_by_the_end_of_a_piece_is_still_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x" + "م".encode() * 1_000_000)

    assert documents.describe(path).metadata["encoding"] == "utf-8"


def test_a_table_tells_rows_and_columns_by_the_separator_it_uses(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text('name;company\n"Sara; Lead";LEAP\nOmar;Kayan\n')

    facts = documents.describe(path)

    assert facts.metadata["rows"] == 3
    assert facts.metadata["columns"] == 2


def test_the_title_of_a_markdown_file_is_its_first_heading(tmp_path: Path) -> None:
    path = tmp_path / "read.md"
    path.write_text("intro\n# Stand brief\ntext\n")

    assert documents.describe(path).metadata["title"] == "Stand brief"


def test_a_picture_is_no_document(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")

    with pytest.raises(PermanentError, match="PNG"):
        documents.describe(tmp_path / "a.png")
