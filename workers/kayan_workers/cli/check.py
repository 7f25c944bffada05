"""``kayan check``: every outside system and codec the chosen roles need, tried one by one, with the remedy for each that fails.

The checks are in probes.py and codecs.py; here they are chosen, run and reported.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kayan_workers.cli import codecs, probes
from kayan_workers.cli.session import FAILED, print_json
from kayan_workers.cli.trouble import Trouble
from kayan_workers.errors import KayanError, SettingsError
from kayan_workers.logs import Guard
from kayan_workers.processors.table import DATABASE, MAIL, STORAGE
from kayan_workers.settings import Settings

if TYPE_CHECKING:
    from kayan_workers.processors.table import Role

Verdict = Literal["ok", "warning", "failed"]

_ICONS: dict[Verdict, str] = {"ok": "✅", "warning": "⚠️ ", "failed": "❌"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it."""

    name: str
    verdict: Verdict
    says: str
    remedy: str = ""
    seconds: float = 0.0


def check(roles: Sequence[Role], *, as_json: bool = False) -> int:
    """Run every check and report; returns the exit code."""
    findings = []
    for finding in _findings(roles):
        findings.append(finding)
        if not as_json:
            _print(finding)
    failed = sum(finding.verdict == "failed" for finding in findings)
    if as_json:
        print_json([{name: getattr(finding, name) for name in ("name", "verdict", "says", "remedy", "seconds")} for finding in findings])
    else:
        print(f"\n{len(findings)} checks, {failed} failed" if failed else f"\n{len(findings)} checks, all is well")
    return FAILED if failed else 0


def _findings(roles: Sequence[Role]) -> Iterator[Finding]:
    settings, problems = _settings(roles)
    for problem in problems:
        name, _, says = problem.partition(" ")
        yield Finding("environment", "failed", f"{name} {says}")
    for warning in settings.warnings:
        yield Finding("environment", "warning", warning)
    if not problems:
        yield Finding("environment", "ok", f"complete for {', '.join(role.name for role in roles)}")
    guard = Guard(settings.secrets)
    for name, probe in _probes(roles, settings):
        yield _tried(name, probe, guard)


def _settings(roles: Sequence[Role]) -> tuple[Settings, Sequence[str]]:
    """The settings and what is wrong with them; with defaults in place of what is wrong, so that the other checks still run."""
    try:
        return Settings.from_environment(roles=roles), ()
    except SettingsError as error:
        problems = error.problems
    try:
        return Settings.from_environment(), problems
    except SettingsError:
        return Settings.from_environment({}), problems


def _probes(roles: Sequence[Role], settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    needs = {need for role in roles for need in role.needs}
    families = {role.family for role in roles}
    yield "processors", lambda: probes.processors(roles)  # first: it forks, and later ones leave threads behind
    yield "Redis", lambda: probes.redis(settings)
    yield "queues", lambda: probes.queues(settings)
    if DATABASE in needs and settings.database_url:
        yield "PostgreSQL", lambda: probes.database(settings)
    if STORAGE in needs and (settings.bucket or settings.storage_folder):
        yield "storage", lambda: probes.storage(settings)
    if MAIL in needs:
        yield "mail", lambda: probes.mail(settings)
    if "media" in families:
        yield "Pillow", codecs.pillow
        yield "libvips", codecs.libvips
        yield "PDF", codecs.pdf
        yield "ffmpeg", lambda: codecs.ffmpeg(settings)
    yield "temporary files", lambda: probes.temp_dir(settings)


def _tried(name: str, probe: Callable[[], str], guard: Guard) -> Finding:
    began = time.perf_counter()

    def finding(verdict: Verdict, says: str, remedy: str = "") -> Finding:
        return Finding(name, verdict, guard.masked(says, 2000), remedy, round(time.perf_counter() - began, 3))

    try:
        return finding("ok", probe())
    except Trouble as trouble:
        return finding("warning" if trouble.is_mild else "failed", trouble.says, trouble.remedy)
    except KayanError as error:
        return finding("failed", str(error))
    except ImportError as error:
        return finding("failed", str(error), "install what the role needs: pip install 'kayan-workers[media]', or messaging, maintenance …")
    except Exception as error:
        return finding("failed", f"{type(error).__name__}: {error}")


def _print(finding: Finding) -> None:
    print(f"{_ICONS[finding.verdict]} {finding.name}: {finding.says}")
    if finding.remedy:
        print(f"     → {finding.remedy}")
    sys.stdout.flush()
