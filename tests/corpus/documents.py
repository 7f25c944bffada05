"""Documents: PDF, office files and text, as people write, scan, print and export them."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from corpus.files import Files, saved, zipped
from corpus.images import scene
from corpus.languages import LANGUAGES, written
from kayan_workers.demo.samples import docx as write_docx
from kayan_workers.demo.samples import pdf

_PAGES = ["Hall one", "Hall two", "Hall three"]
_ARABIC = "مرحبا بكم في كيان لايف\nالجناح مفتوح من ثلاث جهات\n"
_ENGLISH = "Kayan Live builds exhibition stands.\nThe stand is open on three sides.\n"
_IN_CODE_PAGES = {
    "cp1250": "Polish", "iso8859_2": "Czech", "cp1253": "Greek", "iso8859_7": "Greek", "cp1254": "Turkish", "iso8859_9": "Turkish",
    "cp1255": "Hebrew", "iso8859_8": "Hebrew", "cp1257": "Lithuanian", "cp1258": "Vietnamese", "cp874": "Thai", "cp949": "Korean",
    "big5": "Chinese, traditional", "euc_jp": "Japanese", "iso2022_jp": "Japanese", "koi8_r": "Russian", "koi8_u": "Ukrainian",
    "cp866": "Russian", "iso8859_5": "Bulgarian", "mac_roman": "German", "iso8859_15": "French", "cp1251": "Russian",
}  # fmt: skip
_PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
"""What the PDF format lengthens passwords with."""


def make() -> Files:
    return {**_pdf(), **_microsoft(), **_open_document(), **_text(), **_old_and_unread()}


def _pdf() -> Files:
    plain = pdf(_PAGES, title="Stand proposal", author="Mona")
    scan = saved(scene(), "PDF", title="Scan", creationDate=None, modDate=None)
    drawn = zlib.compress(b"0.8 0.1 0.2 rg 60 60 475 120 re f BT /F1 12 Tf 60 760 Td (Packed) Tj ET")
    return {
        "proposal.pdf": plain,
        "one-page.pdf": pdf(["Hall one"]),
        "many-pages.pdf": pdf([f"Page {number}" for number in range(200)]),
        "scan.pdf": _undated(scan),
        "poster.pdf": pdf(["Wide"]).replace(b"[0 0 595 842]", b"[0 0 9933 7016]"),
        "turned.pdf": pdf(["Turned"]).replace(b"/MediaBox", b"/Rotate 90 /MediaBox"),
        "leading.pdf": b"\n\nmail header\n" + plain,
        "trailing.pdf": plain + b"\0" * 500,
        "lost-table.pdf": re.sub(rb"startxref\n\d+", b"startxref\n9999999", plain),
        "packed.pdf": pdf_of([
            b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
            b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]),
        "open-lock.pdf": locked_pdf(b""),
        "locked.pdf": locked_pdf(b"secret"),
        "no-pages.pdf": pdf([]),
        "filled-form.pdf": form_pdf(b"BT /F1 18 Tf 2 5 Td (Kayan Live) Tj ET"),
        "drawing.ai": pdf(["Artboard one", "Artboard two"], title="Stand logo"),
    }  # fmt: skip


def form_pdf(drawn: bytes) -> bytes:
    """A page with one field, whose value was drawn so by the program that filled it in."""
    return pdf_of([
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] >> >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [6 0 R] /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length 41 >>\nstream\nBT /F1 30 Tf 60 760 Td (Order form) Tj ET\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (company) /V (Kayan Live) /Rect [60 600 360 625] /F 4 /AP << /N 7 0 R >> >>",
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 300 25] /Resources << /Font << /F1 5 0 R >> >> /Length %d >>\nstream\n%s\nendstream"
        % (len(drawn), drawn),
    ])  # fmt: skip


def _undated(made: bytes) -> bytes:
    """Pillow writes the moment; without it the file is the same each time."""
    return re.sub(rb"D:\d{14}Z", b"D:20251124100507Z", made)


def pdf_of(bodies: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of these objects, the first of them its catalogue."""
    out = b"%PDF-1.7\n"
    offsets = []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    return out + head + table + b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, trailer, len(out))


def locked_pdf(password: bytes) -> bytes:
    """One page, encrypted with RC4 of 40 bits for ``password``, which opens it."""
    rights, mark = -4, b"0123456789abcdef"
    padded = (password + _PAD)[:32]
    owner = rc4(hashlib.md5(padded).digest()[:5], padded)
    key = hashlib.md5(padded + owner + struct.pack("<i", rights) + mark).digest()[:5]
    user = rc4(key, _PAD)

    def sealed(number: int, data: bytes) -> bytes:
        return rc4(hashlib.md5(key + struct.pack("<I", number)[:3] + b"\0\0").digest()[:10], data)

    drawn = sealed(4, b"BT /F1 12 Tf 60 760 Td (Sealed) Tj ET")
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P %d /O <%s> /U <%s> >>" % (rights, owner.hex().encode(), user.hex().encode())
    return pdf_of([
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ], lock + b" /ID [<%s> <%s>]" % (mark.hex().encode(), mark.hex().encode()))  # fmt: skip


def rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def _microsoft() -> Files:
    types = {"[Content_Types].xml": "<Types/>"}
    core = '<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>Stand brief</dc:title><dc:creator>Mona</dc:creator></cp:coreProperties>'
    sheet = '<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>5</v></c></row></sheetData></worksheet>'
    book = {
        **types, "docProps/core.xml": core,
        "xl/workbook.xml": '<workbook xmlns="m"><sheets><sheet name="Leads"/><sheet name="ملخص"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": sheet,
    }  # fmt: skip
    slides = {f"ppt/slides/slide{n}.xml": f'<p:sld xmlns:p="p" xmlns:a="a"><a:p><a:t>slide {n}</a:t></a:p></p:sld>' for n in (10, 2, 1)}
    deck = {**types, "docProps/core.xml": core, "ppt/presentation.xml": "<p/>", **slides}
    return {
        "brief.docx": docx(["مرحبا & welcome", "Second <line>"]),
        "brief-with-picture.docx": zipped({
            **types, "word/document.xml": word("<w:p><w:r><w:t>Text</w:t></w:r></w:p>"),
            "docProps/thumbnail.jpeg": saved(scene(), "JPEG"),
        }),
        "macros.docm": zipped({
            **types, "word/document.xml": word("<w:p><w:r><w:t>Macro</w:t></w:r></w:p>"), "word/vbaProject.bin": b"\xd0\xcf\x11\xe0" * 20,
        }),
        "leads.xlsx": zipped({**book, "xl/sharedStrings.xml": '<sst xmlns="m"><si><t>Sara</t></si><si><t>Omar</t></si></sst>'}),
        "numbers.xlsx": zipped(book),
        "deck.pptx": zipped(deck),
        "deck-with-picture.pptx": zipped({**deck, "docProps/thumbnail.jpeg": saved(scene(), "JPEG")}),
        "second-part.docx": zipped({
            **types, "_rels/.rels": _main("/word/document2.xml"),
            "word/document2.xml": word("<w:p><w:r><w:t>Second part</w:t></w:r></w:p>"),
        }),
        "second-part.xlsx": zipped({
            **types, "_rels/.rels": _main("xl/workbook2.xml"), "xl/workbook2.xml": book["xl/workbook.xml"],
            "xl/_rels/workbook2.xml.rels": _related(("sharedStrings", "texts.xml")),
            "xl/texts.xml": '<sst xmlns="m"><si><t>Sara</t></si></sst>', "xl/worksheets/sheet1.xml": sheet,
        }),
        "leads.xlsb": zipped({**types, "xl/workbook.bin": b"\x83\1\0\x84\1\0", "xl/worksheets/sheet1.bin": b"\x81\1\0\x82\1\0"}),
        "backslashes.docx": zipped({**types, "word\\document.xml": word("<w:p/>")}),
    }  # fmt: skip


def _main(target: str) -> str:
    return _related(("officeDocument", target))


def _related(*parts: tuple[str, str]) -> str:
    """A list of what belongs to a part: the kind and place of each."""
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    entries = [f'<Relationship Id="rId{n}" Type="{kinds}/{kind}" Target="{target}"/>' for n, (kind, target) in enumerate(parts, 1)]
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(entries)}</Relationships>'


def docx(paragraphs: Sequence[str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "brief.docx")
        write_docx(path, paragraphs, title="Stand brief", author="Mona", pages=2)
        with zipfile.ZipFile(path) as made:
            return zipped({name: made.read(name) for name in made.namelist()})


def word(body: str, prologue: str = "") -> str:
    """The main part of a Word file."""
    return (
        f'{prologue}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>'
    )


def _open_document() -> Files:
    meta = '<o:meta xmlns:o="o" xmlns:m="m" xmlns:dc="dc"><dc:title>Brief</dc:title><m:document-statistic m:{}="3"/></o:meta>'
    text = '<o:c xmlns:o="o" xmlns:t="t"><t:h>Head</t:h><t:p>Body <t:span>text</t:span></t:p></o:c>'
    table = '<o:c xmlns:o="o" xmlns:t="t"><t:table t:name="Leads"/><t:table t:name="ملخص"/></o:c>'
    pages = '<o:c xmlns:o="o" xmlns:d="d" xmlns:t="t"><d:page><t:p>One</t:p></d:page><d:page><t:p>Two</t:p></d:page></o:c>'
    bodies = {
        "odt": ("text", "page-count", text),
        "ods": ("spreadsheet", "table-count", table),
        "odp": ("presentation", "page-count", pages),
    }
    files = {
        f"brief.{ending}": zipped({
            "mimetype": f"application/vnd.oasis.opendocument.{kind}", "meta.xml": meta.format(count), "content.xml": body,
            "Thumbnails/thumbnail.png": saved(scene(), "PNG"),
        }, stored=True)
        for ending, (kind, count, body) in bodies.items()
    }  # fmt: skip
    noise = hashlib.shake_256(b"content").digest(600)
    for ending, (kind, _, _) in bodies.items():
        media = f"application/vnd.oasis.opendocument.{kind}"
        files[f"locked.{ending}"] = zipped({
            "mimetype": media, "content.xml": noise, "META-INF/manifest.xml": _locked_manifest(media, "content.xml"),
        }, stored=True)  # fmt: skip
    files["locked-whole.odt"] = zipped({  # as LibreOffice since 24.8
        "mimetype": "application/vnd.oasis.opendocument.text", "encrypted-package": noise,
        "META-INF/manifest.xml": _locked_manifest("application/vnd.oasis.opendocument.text", "encrypted-package"),
    }, stored=True)  # fmt: skip
    return files


def _locked_manifest(media: str, member: str) -> str:
    lock = (
        '<manifest:encryption-data manifest:checksum-type="SHA256/1K" manifest:checksum="AAAA">'
        '<manifest:algorithm manifest:algorithm-name="http://www.w3.org/2001/04/xmlenc#aes256-cbc" '
        'manifest:initialisation-vector="AAAA"/></manifest:encryption-data>'
    )
    return (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media}"/>'
        f'<manifest:file-entry manifest:full-path="{member}" manifest:size="600">{lock}</manifest:file-entry></manifest:manifest>'
    )


def _text() -> Files:
    both = _ENGLISH + _ARABIC
    return {
        "utf-8.txt": both.encode(),
        "utf-8-marked.txt": both.encode("utf-8-sig"),
        "utf-16-le.txt": b"\xff\xfe" + both.encode("utf-16-le"),
        "utf-16-be.txt": b"\xfe\xff" + both.encode("utf-16-be"),
        "utf-16-unmarked.txt": _ENGLISH.encode("utf-16-le"),
        "utf-32.txt": both.encode("utf-32"),
        "windows-1252.txt": "Café, naïve, façade: Ausstellungsstände für Messen\n".encode("cp1252"),
        "windows-1256.txt": _ARABIC.encode("cp1256"),
        "iso-8859-6.txt": _ARABIC.encode("iso-8859-6"),
        "shift-jis.txt": ("展示会のスタンドを建てます。\n" * 4).encode("shift-jis"),
        "gb18030.txt": ("我们建造展台。\n" * 4).encode("gb18030"),
        **{f"{page}.txt": written(LANGUAGES[language].letter, page).encode(page) for page, language in _IN_CODE_PAGES.items()},
        "crlf.txt": _ENGLISH.replace("\n", "\r\n").encode(),
        "old-mac.txt": _ENGLISH.replace("\n", "\r").encode(),
        "one-letter.txt": b"a",
        "blank.txt": b"\n \n\n",
        "long-line.txt": b"word " * 50_000,
        "leads.csv": b"name,company,score\nSara,LEAP,5\nOmar,Kayan,4\n",
        "semicolons.csv": b"name;company;score\nSara;LEAP;5\nOmar;Kayan;4\n",
        "arabic.csv": "الاسم,الشركة\nسارة,ليب\n".encode("cp1256"),
        "leads.tsv": b"name\tcompany\nSara\tLEAP\n",
        "ragged.csv": b'a,b,c\n1,2\n"open quote,3\n',
        "notes.md": b"# Stand notes\n\n- power\n- water\n",
        "page.html": b"<!doctype html><html><head><title>Stand</title></head><body><p>Hello</p></body></html>",
        "data.json": b'{"name": "Stand", "size": [3, 4]}',
        "data.xml": b'<?xml version="1.0"?><stand><name>A1</name></stand>',
        "letter.rtf": rb"{\rtf1\ansi\deff0 {\fonttbl{\f0 Arial;}}\f0 Hello \b stand\b0 .\par}",
    }


def _old_and_unread() -> Files:
    """What is kept as it is: formats whose inside nobody here reads."""
    return {
        "old.doc": ole(["WordDocument", "1Table"]),
        "old.xls": ole(["Workbook"]),
        "old.ppt": ole(["PowerPoint Document", "Current User"]),
        **{f"locked.{ending}": ole(["EncryptionInfo", "EncryptedPackage"]) for ending in ("docx", "xlsx", "pptx")},
        "stand.key": zipped({"Index/Document.iwa": b"\0\1", "preview.jpg": saved(scene(), "JPEG")}),
        "drawing.odg": zipped({
            "mimetype": "application/vnd.oasis.opendocument.graphics", "content.xml": "<o/>",
            "Thumbnails/thumbnail.png": saved(scene(), "PNG"),
        }, stored=True),
        "book.epub": zipped({"mimetype": "application/epub+zip", "META-INF/container.xml": "<container/>"}, stored=True),
        "plans.zip": zipped({"plan.txt": "text", "photos/a.jpg": b"\xff\xd8\xff"}),
        "plans.7z": b"7z\xbc\xaf'\x1c\0\4" + struct.pack("<IQQI", 0, 100, 50, 0) + bytes(150),
        "plans.rar": b"Rar!\x1a\x07\1\0" + bytes(200),
        "plans.tar.gz": gzip.compress(bytes(2000), mtime=0),
    }  # fmt: skip


def ole(streams: Sequence[str]) -> bytes:
    """A compound file, as Office wrote them before 2007 and writes encrypted ones today, with empty streams of these names."""
    free, end, table = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    header = struct.pack(
        "<8s16x5H6x9I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0
    ) + struct.pack("<109I", 0, *[free] * 108)
    entries = [_ole_entry("Root Entry", 5, 1)] + [
        _ole_entry(name, 2, free, after=place + 1 if place < len(streams) else free) for place, name in enumerate(streams, 1)
    ]
    directory = b"".join(entries).ljust(512, b"\0")
    return header + struct.pack("<128I", table, end, *[free] * 126) + directory


def _ole_entry(name: str, kind: int, child: int, after: int = 0xFFFFFFFF) -> bytes:
    letters = name.encode("utf-16-le")
    return letters.ljust(64, b"\0") + struct.pack("<HBBIII36xIQ", len(letters) + 2, kind, 1, 0xFFFFFFFF, after, child, 0xFFFFFFFE, 0)
