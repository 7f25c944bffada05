from __future__ import annotations

from pathlib import Path

import pytest
from kayan_workers.demo.samples import pdf, picture, psd
from kayan_workers.errors import PermanentError
from kayan_workers.media import designs


def test_a_photoshop_file_tells_canvas_layers_and_colours(tmp_path: Path) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(psd(picture((240, 160)), layers=3))

    facts = designs.describe(path)

    assert (facts.width, facts.height) == (240, 160)
    assert facts.metadata["layers"] == 3
    assert facts.metadata["colorSpace"] == "rgb"
    assert facts.details["bitDepth"] == 8


@pytest.mark.parametrize("length", [10, 26, 34, 40])
def test_a_photoshop_file_that_breaks_off_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(psd(picture((240, 160)), layers=3)[:length])

    with pytest.raises(PermanentError, match="PSD"):
        designs.describe(path)


def test_a_drawing_tells_canvas_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"
    groups = '<g><g/></g><path d="M0 0h9"/>'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="420" height="297" viewBox="0 0 42 30">{groups}</svg>')

    facts = designs.describe(path)

    assert facts.metadata["canvas"] == {"width": 420, "height": 297, "viewBox": "0 0 42 30"}
    assert facts.metadata["layers"] == 2


def test_an_illustrator_file_is_the_pdf_inside_it(tmp_path: Path) -> None:
    path = tmp_path / "logo.ai"
    path.write_bytes(pdf(["a", "b"], title="Logo"))

    facts = designs.describe(path)

    assert (facts.width, facts.height) == (595, 842)
    assert facts.metadata["artboards"] == 2
    assert facts.metadata["title"] == "Logo"


def test_what_is_no_design_is_called_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(b"GIF89a" + b"\0" * 100)

    with pytest.raises(PermanentError, match="GIF"):
        designs.describe(path)
