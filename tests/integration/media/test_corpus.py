"""Every file of the corpus, good and bad, through the codecs as a worker uses them: what comes of each stands in ``corpus/outcomes.md``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from corpus import catalogue, sentences, table
from corpus.came import Came
from corpus.crew import Crew
from corpus.table import Row
from corpus.worker import MEMORY_MB

ROWS = table.rows()
REFUSED = [row for row in ROWS if "refused:" in row.examine + row.picture]
CODE_MB = 200
"""What a codec process takes before it has read a file."""

Tried = Callable[[Row], Came]


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest) -> Iterator[Tried]:
    """What came of a row's file. Those of all selected tests are tried side by side, from the start."""
    here = [item for item in request.session.items if item.path == request.path]
    wanted = {row for item in here if (row := getattr(getattr(item, "callspec", None), "params", {}).get("row")) is not None}
    files = catalogue.everything()
    with Crew() as crew:
        coming: dict[Row, Future[Came]] = {}

        def came(row: Row) -> Came:
            if row not in coming:
                coming[row] = crew.try_file(row.name, files[row.name], row.file_type)
            return coming[row].result()

        for row in ROWS:
            if row in wanted:
                coming[row] = crew.try_file(row.name, files[row.name], row.file_type)
        yield came
        assert crew.deaths == 0


def test_every_file_has_its_row_and_every_row_its_file() -> None:
    assert {row.name for row in ROWS} == set(catalogue.everything())
    assert len({(row.name, row.file_type) for row in ROWS}) == len(ROWS)


def test_the_corpus_is_the_same_each_time() -> None:
    once = {name: hash(data) for name, data in catalogue.everything().items()}
    catalogue.families.cache_clear()

    again = {name: hash(data) for name, data in catalogue.everything().items()}

    assert [name for name, digest in once.items() if again[name] != digest] == []


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_what_comes_of_a_file_is_what_the_table_says(tried: Tried, row: Row) -> None:
    came = tried(row)

    assert table.differences(row, came) == []
    assert came.peak_mb < MEMORY_MB + CODE_MB


@pytest.mark.parametrize("row", REFUSED, ids=[row.id for row in REFUSED])
def test_what_is_wrong_with_a_file_is_said_in_words_for_a_customer(tried: Tried, row: Row) -> None:
    assert sentences.faults_of(tried(row)) == []
