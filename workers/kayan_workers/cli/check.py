"""``kayan check``: every outside system and codec the chosen roles need, tried one by one, with the remedy for each that fails.

The checks are in probes.py and codecs.py; here they are chosen, run and reported.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kayan_workers.cli import codecs, probes
from kayan_workers.cli.session import FAILED, print_json
from kayan_workers.cli.trouble import Trouble
from kayan_workers.errors import KayanError
from kayan_workers.logs import Guard
from kayan_workers.processors.table import CODECS, DATABASE, MAIL, STORAGE
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
    warned = sum(finding.verdict == "warning" for finding in findings)
    if as_json:
        print_json([{name: getattr(finding, name) for name in ("name", "verdict", "says", "remedy", "seconds")} for finding in findings])
    else:
        counts = [f"{failed} failed"] * bool(failed) + [f"{warned} {'warning' if warned == 1 else 'warnings'}"] * bool(warned)
        print(f"\n{len(findings)} checks, {', '.join(counts) or 'all is well'}")
    return FAILED if failed else 0


def _findings(roles: Sequence[Role]) -> Iterator[Finding]:
    settings, problems = Settings.as_far_as_readable(roles=roles)
    for problem in problems:
        yield Finding("environment", "failed", problem)
    for warning in settings.warnings:
        yield Finding("environment", "warning", warning)
    if not problems:
        yield Finding("environment", "ok", f"complete for {', '.join(role.name for role in roles)}")
    guard = Guard(settings.secrets)
    wrong = {problem.split(" ")[0].rstrip(":") for problem in problems}
    redis_failed = False
    for name, probe in _probes(roles, settings):
        if in_the_way := sorted(variable for variable in wrong if re.fullmatch(_READS.get(name, "-"), variable)):
            yield Finding(name, "warning", f"not tested, because of {' and '.join(in_the_way)}")
        elif name == "queues" and redis_failed:
            yield Finding(name, "warning", "not tested, because of Redis")
        else:
            finding = _tried(name, probe, guard, _extras(name, roles))
            redis_failed |= name == "Redis" and finding.verdict == "failed"
            yield finding


_READS = {
    "Redis": "REDIS_.*",
    "queues": "REDIS_.*|BULL_PREFIX",
    "PostgreSQL": "DATABASE_URL",
    "storage": "KAYAN_STORAGE|AWS_S3_BUCKET|AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|ENDPOINT_URL|ENDPOINT_URL_S3)|KAYAN_TEMP_DIR",
    "mail": "KAYAN_MAIL(_SUPPRESSION)?|EMAIL_FROM|AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|ENDPOINT_URL(_SES(V2)?)?)",
    "temporary files": "KAYAN_TEMP_DIR",
}
"""By check, the variables without which it would test something else than what is meant."""
_NEEDED_FOR = {"PostgreSQL": DATABASE, "storage": STORAGE, "mail": MAIL}


def _extras(name: str, roles: Sequence[Role]) -> list[str]:
    """The extras of the package that bring what a check tries: those of the roles it is tried for."""
    need = _NEEDED_FOR.get(name)
    if need is None:
        return ["media"]
    return list(dict.fromkeys(role.family for role in roles if need in role.needs))


def _probes(roles: Sequence[Role], settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    needs = {need for role in roles for need in role.needs}
    yield "processors", lambda: probes.processors(roles)  # first: it forks, and later ones leave threads behind
    yield "Redis", lambda: probes.redis(settings)
    yield "queues", lambda: probes.queues(settings, roles)
    if DATABASE in needs:
        yield "PostgreSQL", lambda: probes.database(settings, [role for role in roles if DATABASE in role.needs])
    if STORAGE in needs:
        yield "storage", lambda: probes.storage(settings)
    if MAIL in needs:
        yield "mail", lambda: probes.mail(settings)
    if CODECS in needs:
        yield "Pillow", codecs.pillow
        yield "libvips", codecs.libvips
        yield "PDF", codecs.pdf
        yield "ffmpeg", lambda: codecs.ffmpeg(settings)
        yield "isolation", lambda: codecs.isolation(settings)
    yield "temporary files", lambda: probes.temp_dir(settings)


def _tried(name: str, probe: Callable[[], str], guard: Guard, extras: Sequence[str]) -> Finding:
    began = time.perf_counter()

    def finding(verdict: Verdict, says: str, remedy: str = "") -> Finding:
        return Finding(name, verdict, guard.masked(says, 2000), guard.masked(remedy, 2000), round(time.perf_counter() - began, 3))

    try:
        return finding("ok", probe())
    except Trouble as trouble:
        return finding("warning" if trouble.is_mild else "failed", trouble.says, trouble.remedy)
    except KayanError as error:
        return finding("failed", error.says, error.remedy)
    except ImportError as error:
        return finding("failed", str(error), f"install what the role needs: pip install 'kayan-workers[{','.join(extras)}]'")
    except Exception as error:
        return finding("failed", f"{type(error).__name__}: {error}")


def _print(finding: Finding) -> None:
    print(f"{_ICONS[finding.verdict]} {finding.name}: {finding.says}")
    if finding.remedy:
        print(f"     → {finding.remedy}")
    sys.stdout.flush()
