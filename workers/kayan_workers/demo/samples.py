"""Sample files of every kind the app's users upload, made on the spot: nothing is downloaded and no binary is kept in the repository."""

from __future__ import annotations

import io
import json
import math
import struct
import subprocess
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFilter

from kayan_workers.ffmpeg import Ffmpeg

_GPS_INFO = 0x8825
_EXIF_INFO = 0x8769
_LINES = (
    "Kayan Live builds exhibition stands, stages and everything between them.",
    "The stand is open on three sides; its counter faces the main aisle.",
    "Power, water and rigging points are marked on the floor plan.",
)


class Sample(NamedTuple):
    """One file and what the web app would say about it: ``file_type`` is its AssetType, ``mime_type`` the browser's claim."""

    path: Path
    file_type: str
    mime_type: str


def make_samples(folder: Path, ffmpeg: Ffmpeg | None = None) -> list[Sample]:
    """Write one sample of every kind into ``folder``; takes about two seconds. Raises TemporaryError when there is no ffmpeg."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=2) as pool:
        films = pool.submit(make_media, folder, (ffmpeg or Ffmpeg()).binary)
        still = [*make_pictures(folder), *make_documents(folder), *make_models(folder), *make_designs(folder)]
        return [*still, *films.result()]


def make_pictures(folder: Path) -> list[Sample]:
    """A sideways photo with its place, and one picture of each common format."""
    sideways = picture((1200, 1600)).transpose(Image.Transpose.ROTATE_90)  # as the sensor of a camera held upright sees it
    small = picture((640, 480))
    logo = Image.new("RGBA", (512, 512), (255, 255, 255, 0))
    ImageDraw.Draw(logo).ellipse((64, 64, 448, 448), fill=(200, 30, 60, 255))
    sideways.save(folder / "Stand photo.jpg", quality=88, exif=_camera_exif(), dpi=(300, 300))
    logo.save(folder / "logo.png")
    small.save(folder / "render.webp", quality=80)
    small.save(folder / "print.tif", compression="tiff_lzw", dpi=(300, 300))
    frames = [small.resize((160, 120)).rotate(angle, fillcolor=(20, 30, 60)) for angle in (0, 15, 30, 45)]
    frames[0].save(folder / "turning.gif", save_all=True, append_images=frames[1:], duration=120, loop=0)
    (folder / "plan.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="420" height="297" viewBox="0 0 420 297"><g id="walls">'
        '<rect x="20" y="20" width="380" height="257" fill="none" stroke="#123" stroke-width="6"/></g><g id="counter">'
        '<rect x="180" y="200" width="60" height="20" fill="#c81e3c"/></g></svg>'
    )
    return [
        Sample(folder / "Stand photo.jpg", "IMAGE", "image/jpeg"),
        Sample(folder / "logo.png", "IMAGE", "image/png"),
        Sample(folder / "render.webp", "IMAGE", "image/webp"),
        Sample(folder / "print.tif", "IMAGE", "image/tiff"),
        Sample(folder / "turning.gif", "IMAGE", "image/gif"),
        Sample(folder / "plan.svg", "IMAGE", "image/svg+xml"),
    ]


def picture(size: tuple[int, int]) -> Image.Image:
    """A scene with gradients, edges and some noise, so that it compresses like a photo."""
    width, height = size
    sky = Image.linear_gradient("L").resize(size)
    sun = Image.radial_gradient("L").resize(size)
    noise = Image.effect_noise((width // 4, height // 4), 40).resize(size).filter(ImageFilter.GaussianBlur(1))
    scene = Image.merge("RGB", (sky, sun, noise))
    draw = ImageDraw.Draw(scene)
    draw.polygon([(0, height), (width // 3, height // 2), (width * 2 // 3, height)], fill=(40, 70, 50))
    draw.rectangle((width // 2, height * 2 // 3, width * 3 // 4, height * 9 // 10), fill=(200, 30, 60))
    return scene


def _camera_exif() -> Image.Exif:
    """Orientation 6 (held upright), a camera, and the LEAP fair ground in Riyadh."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Canon", "Canon EOS R5"
    exif.get_ifd(_EXIF_INFO).update({
        0x829A: 0.004, 0x829D: 2.8, 0x8827: 400, 0x9003: "2025:11:24 10:05:07", 0x920A: 35.0, 0xA434: "RF24-70mm F2.8 L IS USM",
    })  # fmt: skip
    exif.get_ifd(_GPS_INFO).update({1: "N", 2: (24.0, 52.0, 48.0), 3: "E", 4: (46.0, 44.0, 6.0)})
    return exif


def make_media(folder: Path, ffmpeg: str) -> list[Sample]:
    """Videos (with sound, very short, held upright, silent) and sound, drawn and played by ffmpeg itself."""
    h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k"]
    film = folder / "walkthrough.mp4"
    _ffmpeg(ffmpeg, *_scene("640x360", 4), *_tone(4), *h264, "-metadata", "title=Walk through the stand", film)
    lying = folder / "lying.mov"
    _ffmpeg(ffmpeg, *_scene("360x640", 2), *_tone(2), "-vf", "transpose=clock", *h264, lying)
    _ffmpeg(ffmpeg, "-display_rotation", "90", "-i", lying, "-c", "copy", folder / "phone.mov")
    lying.unlink()
    _ffmpeg(ffmpeg, *_scene("320x240", 0.4), *_tone(0.4), *h264, folder / "blink.mp4")
    _ffmpeg(ffmpeg, *_scene("320x180", 2), "-c:v", "libvpx", "-deadline", "realtime", "-an", folder / "silent.webm")
    _ffmpeg(ffmpeg, *_tone(3), "-c:a", "libmp3lame", "-metadata", "title=Jingle", "-metadata", "artist=كيان", folder / "jingle.mp3")
    _ffmpeg(ffmpeg, *_tone(1), "-ar", "48000", "-ac", "2", folder / "signal.wav")
    return [
        Sample(film, "VIDEO", "video/mp4"),
        Sample(folder / "phone.mov", "VIDEO", "video/quicktime"),
        Sample(folder / "blink.mp4", "VIDEO", "video/mp4"),
        Sample(folder / "silent.webm", "VIDEO", "video/webm"),
        Sample(folder / "jingle.mp3", "AUDIO", "audio/mpeg"),
        Sample(folder / "signal.wav", "AUDIO", "audio/wav"),
    ]


def _scene(size: str, seconds: float) -> list[str]:
    return ["-f", "lavfi", "-t", str(seconds), "-i", f"testsrc2=s={size}:r=25"]


def _tone(seconds: float) -> list[str]:
    return ["-f", "lavfi", "-t", str(seconds), "-i", "sine=440:r=44100"]


def _ffmpeg(binary: str, *arguments: str | Path) -> None:
    subprocess.run([binary, "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True, capture_output=True)  # noqa: S603


def make_documents(folder: Path) -> list[Sample]:
    """A PDF of three pages, a Word file, a table and plain text in two languages."""
    (folder / "Proposal.pdf").write_bytes(pdf([f"Page {number}. {line}" for number, line in enumerate(_LINES, 1)], title="Stand proposal"))
    docx(folder / "Brief.docx", _LINES, title="Stand brief", author="Mona", pages=2)
    (folder / "notes.txt").write_text("مرحبا بكم في كيان لايف\n" + "\n".join(_LINES) + "\n", encoding="utf-8")
    (folder / "leads.csv").write_text("name,company,score\nSara,LEAP,5\nOmar,Kayan,4\n", encoding="utf-8")
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    return [
        Sample(folder / "Proposal.pdf", "DOCUMENT", "application/pdf"),
        Sample(folder / "Brief.docx", "OTHER", word),  # the app's upload calls Word files OTHER
        Sample(folder / "notes.txt", "DOCUMENT", "text/plain"),
        Sample(folder / "leads.csv", "OTHER", "text/csv"),
    ]


def pdf(pages: Iterable[str], *, title: str = "", author: str = "Kayan Live") -> bytes:
    """A PDF with one line of (Latin) text a page."""
    texts = list(pages)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(texts)))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(texts)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(texts):
        drawn = f"0.8 0.1 0.2 rg 60 60 475 120 re f 0 g BT /F1 12 Tf 60 760 Td ({_pdf_text(text)}) Tj ET".encode("latin-1", "replace")
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        bodies.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn))
    bodies.append(f"<< /Title ({_pdf_text(title)}) /Author ({_pdf_text(author)}) >>".encode("latin-1", "replace"))
    return _pdf_file(bodies)


def _pdf_text(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _pdf_file(bodies: list[bytes]) -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(bodies, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, len(bodies), table))
    return out.getvalue()


def docx(path: Path, paragraphs: Iterable[str], *, title: str = "", author: str = "", pages: int = 1) -> None:
    """A Word file as small as Word still opens."""
    body = "".join(f"<w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>" for text in paragraphs)
    types = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006"
    package = "http://schemas.openxmlformats.org/package/2006"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", (
            f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{types}"/></Types>'
        ))  # fmt: skip
        file.writestr("_rels/.rels", (
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/relationships/officeDocument" '
            'Target="word/document.xml"/></Relationships>'
        ))  # fmt: skip
        file.writestr("docProps/core.xml", (
            f'<cp:coreProperties xmlns:cp="{package}/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<dc:title>{escape(title)}</dc:title><dc:creator>{escape(author)}</dc:creator></cp:coreProperties>"
        ))  # fmt: skip
        file.writestr("docProps/app.xml", f'<Properties xmlns="{office}/extended-properties"><Pages>{pages}</Pages></Properties>')
        file.writestr("word/document.xml", (
            f'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>'
        ))  # fmt: skip


def make_models(folder: Path) -> list[Sample]:
    """A tent of five corners, as GLB."""
    (folder / "tent.glb").write_bytes(glb([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1), (0, math.sqrt(2), 0)],
                                          [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4), (0, 2, 1), (0, 3, 2)]))  # fmt: skip
    return [Sample(folder / "tent.glb", "MODEL_3D", "model/gltf-binary")]


def glb(corners: list[tuple[float, float, float]], faces: list[tuple[int, int, int]], *, scale: float = 1.0) -> bytes:
    """A binary glTF of one mesh on one node."""
    positions = b"".join(struct.pack("<3f", *corner) for corner in corners)
    indices = b"".join(struct.pack("<3H", *face) for face in faces)
    axes = list(zip(*corners, strict=True))
    description = {
        "asset": {"version": "2.0", "generator": "kayan-workers samples"}, "scene": 0, "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "scale": [scale] * 3}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "buffers": [{"byteLength": len(positions) + len(indices)}],
        "bufferViews": [
            {"buffer": 0, "byteLength": len(positions)}, {"buffer": 0, "byteOffset": len(positions), "byteLength": len(indices)},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(corners), "type": "VEC3",
             "min": [min(axis) for axis in axes], "max": [max(axis) for axis in axes]},
            {"bufferView": 1, "componentType": 5123, "count": len(faces) * 3, "type": "SCALAR"},
        ],
    }  # fmt: skip
    text = json.dumps(description).encode()
    text += b" " * (-len(text) % 4)
    binary = positions + indices + b"\0" * (-len(positions + indices) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def make_designs(folder: Path) -> list[Sample]:
    """A small Photoshop file of two layers."""
    (folder / "poster.psd").write_bytes(psd(picture((240, 160)), layers=2))
    return [Sample(folder / "poster.psd", "DESIGN", "image/vnd.adobe.photoshop")]


def psd(image: Image.Image, *, layers: int) -> bytes:
    """A Photoshop file whose merged picture is ``image`` and whose ``layers`` are empty."""
    record = struct.pack(">4iH", 0, 0, 0, 0, 0) + b"8BIMnorm" + bytes((255, 0, 0, 0)) + struct.pack(">I", 12) + b"\0" * 8 + b"\1L\0\0"
    info = struct.pack(">h", layers) + record * layers
    info += b"\0" * (len(info) % 2)
    layer_section = struct.pack(">I", len(info)) + info + struct.pack(">I", 0)
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, image.height, image.width, 8, 3)
    pixels = b"".join(band.tobytes() for band in image.convert("RGB").split())
    return header + struct.pack(">II", 0, 0) + struct.pack(">I", len(layer_section)) + layer_section + struct.pack(">H", 0) + pixels
