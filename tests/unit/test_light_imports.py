"""A worker loads what its queues need, when they need it: an idle one stays small and starts at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("psycopg", "boto3", "pyvips", "PIL", "jinja2", "pypdfium2")


@pytest.mark.parametrize("module", ["notification", "analytics"])
def test_a_light_processor_loads_no_heavy_library_before_its_first_job(module: str) -> None:
    program = f"import sys, kayan_workers.processors.{module}; print([name for name in {HEAVY!r} if name in sys.modules])"

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["asset", "thumbnail", "variant"])
def test_a_media_processor_never_loads_a_codec_into_the_worker(module: str) -> None:
    program = (
        f"import sys, kayan_workers.processors.{module}, kayan_workers.codecs.codecs; "
        "print([name for name in ('pyvips', 'PIL', 'pypdfium2', 'numpy', 'pi_heif') if name in sys.modules])"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_a_codec_process_loads_what_pages_and_models_need_with_the_first_of_them() -> None:
    program = (
        "import sys, kayan_workers.codecs.inmate; "
        "print([name for name in ('pypdfium2', 'PIL', 'numpy', 'pi_heif', 'html.parser') if name in sys.modules])"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
