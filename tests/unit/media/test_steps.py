"""What transforms say of the step they are at, for whoever has to tell it when a file ends them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from corpus import documents
from corpus.models import CORNERS, FACES
from kayan_workers.demo.samples import glb, picture, psd
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.examine import examine
from kayan_workers.media.file_type import FileType
from kayan_workers.media.images import images
from kayan_workers.media.pictures import picture as draw
from kayan_workers.media.rendition import Rendition
from kayan_workers.media.steps import step, told_to

Heard = list[tuple[str, int | None]]


def written(folder: Path, name: str) -> Path:
    path = folder / name
    match path.suffix:
        case ".jpg":
            picture((64, 48)).save(path)
        case ".psd":
            path.write_bytes(psd(picture((64, 48)), layers=2))
        case ".glb":
            path.write_bytes(glb(CORNERS, FACES))
        case _:
            path.write_bytes(documents.make()[name])
    return path


@pytest.mark.parametrize(
    ("name", "file_type", "examining", "drawing"),
    [
        ("photo.jpg", FileType.IMAGE, ["decoding the JPEG picture"], ["decoding the JPEG picture"]),
        ("stand.psd", FileType.DESIGN, ["reading the layers"],
         ["reading the layers", "unpacking the merged picture", "decoding the TIFF picture"]),
        ("tent.glb", FileType.MODEL_3D, ["counting the vertices and faces of the GLB model"],
         ["drawing the GLB model", "decoding the PNG picture"]),
        ("proposal.pdf", FileType.DOCUMENT,
         ["opening the PDF", "reading page 1 of the PDF", "reading page 2 of the PDF", "reading page 3 of the PDF"],
         ["opening the PDF", "drawing page 1 of the PDF", "decoding the PNG picture"]),
        ("leads.xlsx", FileType.DOCUMENT, ["reading the title, author and pages", "reading the sheet names", "reading the text"],
         ["unpacking the picture it carries", "reading the first page", "setting the first page", "decoding the PNG picture"]),
        ("utf-8.txt", FileType.DOCUMENT, ["reading the text"], ["reading the text", "setting the first page", "decoding the PNG picture"]),
    ],
)  # fmt: skip
def test_each_step_is_told_before_it_begins(
    tmp_path: Path, name: str, file_type: FileType, examining: list[str], drawing: list[str]
) -> None:
    source = written(tmp_path, name)
    examined: Heard = []
    drawn: Heard = []

    with told_to(lambda *said: examined.append(said)):
        examine(source, file_type, Ffmpeg())
    with told_to(lambda *said: drawn.append(said)):
        draw(source, file_type, [Rendition(to=tmp_path / "small.jpg", box=(200, 200), quality=80)], Ffmpeg())

    assert [doing for doing, _ in examined] == examining
    assert [doing for doing, _ in drawn] == drawing


def test_a_page_of_a_pdf_may_compute_for_seconds_and_what_follows_for_as_long_as_the_file_may(tmp_path: Path) -> None:
    source = written(tmp_path, "proposal.pdf")
    heard: Heard = []

    with told_to(lambda *said: heard.append(said)):
        draw(source, FileType.DOCUMENT, [Rendition(to=tmp_path / "small.jpg", box=(200, 200), quality=80)], Ffmpeg())

    assert heard == [("opening the PDF", None), ("drawing page 1 of the PDF", 10), ("decoding the PNG picture", None)]


def test_who_asked_hears_his_own_steps_only(tmp_path: Path) -> None:
    heard: Heard = []
    with told_to(lambda *said: heard.append(said)):
        thread = threading.Thread(target=images.describe, args=(written(tmp_path, "photo.jpg"),))
        thread.start()
        thread.join()
        step("ours")
    step("later")

    assert heard == [("ours", None)]
