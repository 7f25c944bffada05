"""The command line of the corpus: write it, show what comes of some files, draft their rows, fuzz."""

from __future__ import annotations

import argparse
import mimetypes
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import servers
from corpus import catalogue, fuzz, sentences, table, worker
from corpus.came import Came
from corpus.crew import Crew

FOLDER = servers.BUILD / "corpus"
_TYPES = {"films": "VIDEO", "documents": "DOCUMENT", "models": "MODEL_3D", "images": "IMAGE"}


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    if chosen.do == "work":
        worker.main(chosen.folder, chosen.time_limit)
        return 0
    if chosen.do == "make":
        print(f"{catalogue.write(FOLDER)} files in {FOLDER}")
        return 0
    if chosen.do == "fuzz":
        return fuzz.run(minutes=chosen.minutes, seed=chosen.seed, again=chosen.again)
    return _draft(chosen.files) if chosen.do == "draft" else _show(chosen.files)


def _show(patterns: Sequence[str]) -> int:
    """Print what comes of the files, beside what should; returns 1 when something differs."""
    wrong = 0
    for row, came in _tried(patterns):
        print(f"{row.id}  {came.seconds:.2f} s  {came.peak_mb:.0f} MB\n  {came.examine}\n  {came.picture}", flush=True)
        for fault in (*table.differences(row, came), *sentences.faults_of(came)):
            print(f"  UNEXPECTED {fault}", flush=True)
            wrong = 1
    return wrong


def _draft(patterns: Sequence[str]) -> int:
    """Rewrite those rows of the table that are not true, and add rows for files without one; ``git diff`` shows what to judge."""
    said = {(row.name, row.file_type): table.redrafted(row, came) for row, came in _tried(patterns)}
    table.write(said, {family: list(files) for family, files in catalogue.families().items()})
    return 0


def _tried(patterns: Sequence[str]) -> Iterator[tuple[table.Row, Came]]:
    known = defaultdict(list)
    for row in table.rows():
        known[row.name].append(row)
    with Crew() as crew:
        waiting = [
            (row, crew.try_file(name, data, row.file_type))
            for family, files in catalogue.families().items()
            for name, data in files.items()
            if not patterns or any(fnmatch(name, pattern) for pattern in patterns)
            for row in known[name] or [_blank(family, name)]
        ]
        for row, future in waiting:
            yield row, future.result()


def _blank(family: str, name: str) -> table.Row:
    """A row for a file that has none yet, declared as a browser and the app would."""
    mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
    first = mime.partition("/")[0]
    declared = {"image": "IMAGE", "video": "VIDEO", "audio": "AUDIO", "model": "MODEL_3D"}.get(first, _TYPES.get(family, "DOCUMENT"))
    return table.Row(name, declared, mime, "", "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/corpus", description=__doc__)
    doing = parser.add_subparsers(dest="do", required=True)
    doing.add_parser("make", help=f"write every file to {FOLDER.relative_to(servers.PROJECT)}")
    working = doing.add_parser("work", help="try files named on standard input (this is how the others start their workers)")
    working.add_argument("folder", type=Path)
    working.add_argument("time_limit", type=float)
    for name, what in (
        ("show", "what comes of files, and what should"),
        ("draft", "make the table say what is true now, for somebody to judge"),
    ):
        command = doing.add_parser(name, help=what)
        command.add_argument("files", nargs="*", metavar="FILE", help="names, * and ? allowed; all without")
    fuzzing = doing.add_parser("fuzz", help="try mutated files until the time is up")
    fuzzing.add_argument("--minutes", type=float, default=10, metavar="M")
    fuzzing.add_argument("--seed", type=int, help="to make the same mutants again")
    fuzzing.add_argument("--again", type=Path, metavar="FILE", help="try one kept file again, and nothing else")
    return parser
