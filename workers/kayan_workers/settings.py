"""Everything the fleet can be told: one typed object, read once at start-up, under the web app's own names.

Only the command line and the assembly see Settings; everybody else receives the value they need.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from kayan_workers.bull.server import RedisAddress
from kayan_workers.environment import Environment
from kayan_workers.errors import SettingsError
from kayan_workers.mounted import ADOPTED, FOLDERS, Mounted, mounted_in, read
from kayan_workers.processors.cleaning.policy import RETENTIONS, SWITCHES, Policy, retention_variable, switch_variable
from kayan_workers.processors.table import DATABASE, MAIL, ROLES, STORAGE, Role
from kayan_workers.shared_settings import log_settings, pod_name, queue_prefix, redis_address, secrets_in

Backoff = Literal["documented", "bull"]
LogFormat = Literal["json", "text"]
Suppression = Literal["auto", "check", "off"]

DATABASE_EXAMPLE = "postgresql://kayan:password@localhost:5432/kayanlive?schema=public"

_OUR_PREFIXES = ("REDIS_", "DATABASE_", "AWS_", "EMAIL_", "NEXTAUTH_", "KAYAN_", "BULL_", "LOG_", "LOCK_", "STALLED_", "HEALTH_", "FFMPEG_")
_SECRETS = ("REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most ``jobs`` starts in every ``per_ms`` milliseconds, over all workers of a queue."""

    jobs: int
    per_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole environment, typed. Durations say their unit."""

    redis: RedisAddress = field(default_factory=RedisAddress)
    prefix: str = "bull"
    """What every key starts with. In Redis Cluster it carries a hash tag: ``{bull}``."""

    backoff: Backoff = "documented"
    """Waits between retries: 2, 4, 8 s as documented, or Bull 4's own 2, 6, 14 s."""
    lock_duration_ms: int = 30_000
    """How long a job stays ours without a renewal. Bull's own default."""
    lock_renew_ms: int = 15_000
    stalled_interval_ms: int = 30_000
    max_stalled_count: int = 1
    guard_interval_ms: int = 5_000
    metrics_minutes: int = 0
    """How many minutes of Bull's own per-minute metrics are kept in Redis; 0 keeps none."""
    grace_seconds: float = 25
    """How long running jobs may go on after SIGTERM, before they are handed back."""

    concurrency: Mapping[str, int] = field(default_factory=dict)
    """Slots by role, where the table's own number is overridden."""
    timeout_seconds: Mapping[str, float] = field(default_factory=dict)
    """The longest attempt by role, where the table's own number is overridden; 0 is no limit."""
    rates: Mapping[str, Rate] = field(default_factory=dict)

    database_url: str | None = field(default=None, repr=False)
    database_pool_size: int = 2

    storage_folder: Path | None = None
    """A folder instead of a bucket; only ever set by name."""
    bucket: str | None = None
    aws_region: str = "us-east-1"
    cdn_url: str | None = None

    cleanup: Policy = field(default_factory=Policy)
    """Which cleanups may run, and how long personal data is kept."""

    outbox: Path | None = None
    """A folder instead of SES; only ever set by name."""
    ses_region: str = "us-east-1"
    suppression: Suppression = "auto"
    """Whether SES is asked before each mail if it delivers to that address: where it answers, insistently, or never."""
    suppression_endpoint: str | None = None
    """Where it is asked. None: where boto3 would."""
    email_from: str = "noreply@kayanlive.com"
    email_from_name: str = "Kayan Live"

    app_url: str = "http://localhost:3000"
    ffmpeg: str | None = None
    codec_processes: int = 0
    """How many processes decode strangers' files at once; 0 for one for each CPU, but no more than there are slots."""
    codec_memory_mb: int = 1536
    """Memory that each of them, and each ffmpeg, may ask for beside its own code."""
    temp_dir: Path = Path(tempfile.gettempdir())
    pod: str = "localhost"
    """Who we are to others: part of every lock's token and of ``getWorkers()``."""

    health_host: str = "0.0.0.0"  # noqa: S104  the kubelet and Prometheus come from outside
    health_port: int | None = 8080
    """None: no health endpoint. 0: any free port."""
    notice: str | None = None
    """What whoever reads a worker's log should know before anything else."""
    log_level: str = "info"
    log_format: LogFormat = "json"
    mounted: Mounted | None = None
    """The files out of which some of all this was read."""
    warnings: tuple[str, ...] = ()
    """What is odd about the environment, but hurts nobody."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts that must never appear in a log."""

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None, roles: Sequence[Role] = ()) -> Settings:
        """Read the environment for ``roles``: what none of them needs may be missing.

        Raises SettingsError with every problem found.
        """
        settings, problems = cls.as_far_as_readable(variables, roles)
        if problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def as_far_as_readable(cls, variables: Mapping[str, str] | None = None, roles: Sequence[Role] = ()) -> tuple[Settings, list[str]]:
        """The settings, with the defaults where a variable is no good, and what is wrong. Each problem begins with a variable's name."""
        variables = os.environ if variables is None else variables
        environment = Environment(variables)
        values: dict[str, object] = {
            "redis": redis_address(environment),
            **_queue(environment),
            **_roles(environment, roles),
            **_database(environment, roles),
            **_storage(environment, roles),
            "cleanup": _cleanup(environment),
            **_mail(environment, roles),
            **_process(environment),
        }
        values["mounted"] = _mounted(environment, variables)
        values["secrets"] = secrets_in(environment, _SECRETS, ("REDIS_URL", "DATABASE_URL"))
        values["warnings"] = (*environment.warnings, *environment.suspicious(_OUR_PREFIXES))
        return cls(**values), environment.problems  # type: ignore[arg-type]


def _queue(environment: Environment) -> dict[str, object]:
    lock = environment.integer("LOCK_DURATION_MS", 30_000, 1_000, 3_600_000)
    renew = environment.integer("LOCK_RENEW_MS", lock // 2, 100, 3_600_000)
    if renew >= lock:
        environment.complain(f"LOCK_RENEW_MS is {renew} and LOCK_DURATION_MS {lock}: renew a lock before it ends, usually at half its time")
    return {
        "prefix": queue_prefix(environment),
        "backoff": environment.choice("KAYAN_BACKOFF", {"documented": "documented", "bull": "bull"}, "documented"),
        "lock_duration_ms": lock,
        "lock_renew_ms": renew,
        "stalled_interval_ms": environment.integer("STALLED_INTERVAL_MS", 30_000, 0, 3_600_000),
        "max_stalled_count": environment.integer("MAX_STALLED_COUNT", 1, 0, 1_000),
        "guard_interval_ms": environment.integer("GUARD_INTERVAL_MS", 5_000, 50, 60_000),
        "metrics_minutes": environment.integer("BULL_METRICS_MINUTES", 0, 0, 525_600),
        "grace_seconds": environment.number("KAYAN_GRACE_SECONDS", 25, 0, 86_400),
    }


def _roles(environment: Environment, roles: Sequence[Role]) -> dict[str, object]:
    concurrency: dict[str, int] = {}
    timeouts: dict[str, float] = {}
    rates: dict[str, Rate] = {}
    everyone = {role.name: role for role in (*ROLES, *roles)}
    for name in everyone:
        suffix = name.upper().replace("-", "_")
        if (slots := environment.integer(f"CONCURRENCY_{suffix}", 0, 1, 1_000)) > 0:
            concurrency[name] = slots
        if (seconds := environment.number(f"JOB_TIMEOUT_SECONDS_{suffix}", -1, 0, 7 * 86_400)) >= 0:
            timeouts[name] = seconds
        if rate := _rate(environment, f"RATE_LIMIT_{suffix}"):
            rates[name] = rate
    for prefix in ("CONCURRENCY_", "JOB_TIMEOUT_SECONDS_", "RATE_LIMIT_"):
        for name in environment.starting_with(prefix):
            if name not in environment.known:
                environment.complain(f"{name} names no role. The roles are {', '.join(everyone)}: {prefix}THUMBNAIL, for example")
    return {"concurrency": concurrency, "timeout_seconds": timeouts, "rates": rates}


def _rate(environment: Environment, name: str) -> Rate | None:
    value = environment.text(name)
    if value is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,8})\s*/\s*([1-9]\d{0,8})", value)
    if not found:
        environment.complain(f"{name} is {value!r}: write JOBS/MILLISECONDS, for example 14/1000 for 14 jobs a second")
        return None
    return Rate(jobs=int(found[1]), per_ms=int(found[2]))


def _database(environment: Environment, roles: Sequence[Role]) -> dict[str, object]:
    needing = _needing(roles, DATABASE)
    url = environment.url("DATABASE_URL", ("postgresql", "postgres"), DATABASE_EXAMPLE)
    if needing and url is None:
        environment.required("DATABASE_URL", f"{needing} to PostgreSQL, the web app's own database", DATABASE_EXAMPLE)
    return {"database_url": url, "database_pool_size": environment.integer("DATABASE_POOL_SIZE", 2, 1, 100)}


def _storage(environment: Environment, roles: Sequence[Role]) -> dict[str, object]:
    folder = _named_folder(environment, "KAYAN_STORAGE", "s3", "folder")
    bucket = environment.text("AWS_S3_BUCKET")
    needing = _needing(roles, STORAGE)
    if needing and folder is None and bucket is None:
        instead = "For a folder in its place set KAYAN_STORAGE=folder:/path"
        environment.required("AWS_S3_BUCKET", f"{needing} to the object store. {instead}", "kayanlive-assets")
    key, secret = environment.text("AWS_ACCESS_KEY_ID"), environment.text("AWS_SECRET_ACCESS_KEY")
    if bool(key) is not bool(secret):
        given, missing = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if key else ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")
        environment.complain(f"{missing} is not set, but {given} is: set both, or neither to use the role of the pod or machine")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SES", "AWS_ENDPOINT_URL_SESV2"):
        environment.url(name, ("https", "http"), "https://objects.example.com")
    region = environment.text("AWS_REGION", "us-east-1")
    cdn_url = environment.url("AWS_CLOUDFRONT_URL", ("https", "http"), "https://d111111abcdef8.cloudfront.net")
    writes_urls = any(role.family == "media" and STORAGE in role.needs for role in roles)
    if writes_urls and bucket and not (folder or cdn_url):
        _warn_of_urls_nobody_can_load(environment, f"https://{bucket}.s3.{region}.amazonaws.com")
    return {"storage_folder": folder, "bucket": bucket, "aws_region": region, "cdn_url": cdn_url}


def _cleanup(environment: Environment) -> Policy:
    days = {name: environment.integer(retention_variable(name), 0, 1, 36_500) for name in RETENTIONS}
    policy = Policy(
        on=frozenset(name for name, is_on in SWITCHES.items() if environment.flag(switch_variable(name), is_on)),
        retention_days={name: kept for name, kept in days.items() if kept},
        orphaned_percent=environment.number("KAYAN_CLEANUP_ORPHANED_PERCENT", Policy().orphaned_percent, 0, 100),
    )
    for prefix in ("KAYAN_CLEANUP_", "KAYAN_RETENTION_"):
        known = [name for name in environment.known if name.startswith(prefix)]
        for name in environment.starting_with(prefix):
            if name not in known:
                environment.complain(f"{name} is no setting of the cleanups. There are {', '.join(sorted(known))}")
    return policy


def _warn_of_urls_nobody_can_load(environment: Environment, start: str) -> None:
    """The app's URLs are AWS's own, whatever the endpoint is called; only AWS answers there."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if endpoint := environment.text(name):
            if not (urlsplit(endpoint).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
                environment.warn(
                    f"{name} names a store of your own, but AWS_CLOUDFRONT_URL is not set: the URLs of thumbnails and variants will start "
                    f"with {start}, where no browser finds them. Set AWS_CLOUDFRONT_URL to where browsers reach the bucket, "
                    "for example https://objects.example.com/kayanlive-assets"
                )
            return


def _mail(environment: Environment, roles: Sequence[Role]) -> dict[str, object]:
    address = environment.text("EMAIL_FROM", "noreply@kayanlive.com") or ""
    name = environment.text("EMAIL_FROM_NAME", "Kayan Live") or ""
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address):
        environment.complain(f"EMAIL_FROM is {address!r}: write a bare address (noreply@kayanlive.com); the name goes to EMAIL_FROM_NAME")
    elif any(MAIL in role.needs for role in roles):
        from kayan_workers.mail.addresses import sender  # here, not above: most workers send no mail

        try:
            sender(name, address)
        except SettingsError as error:
            environment.complain(f"EMAIL_FROM is {address!r}: {error}. Write an address like noreply@kayanlive.com, verified in SES")
    return {
        "outbox": _named_folder(environment, "KAYAN_MAIL", "ses", "outbox"),
        "ses_region": environment.text("AWS_SES_REGION") or environment.text("AWS_REGION", "us-east-1"),
        "suppression": environment.choice("KAYAN_MAIL_SUPPRESSION", {"auto": "auto", "check": "check", "off": "off"}, "auto"),
        # Whoever takes the mails knows to whom they will not go: boto3 alone would ask AWS about another one's mails.
        "suppression_endpoint": environment.text("AWS_ENDPOINT_URL_SESV2") or environment.text("AWS_ENDPOINT_URL_SES"),
        "email_from": address,
        "email_from_name": name,
    }


def _named_folder(environment: Environment, name: str, service: str, word: str) -> Path | None:
    """``service`` (the default) or ``word:PATH``. Never a folder that nobody asked for."""
    value = environment.text(name, service) or service
    if value.lower() == service:
        return None
    kind, _, path = value.partition(":")
    if kind.lower() != word or not path:
        environment.complain(f"{name} is {value!r}: write {service}, or {word}:/path/of/a/folder")
        return None
    return Path(path).expanduser().absolute()


def _process(environment: Environment) -> dict[str, object]:
    temp_dir = Path(environment.text("KAYAN_TEMP_DIR", tempfile.gettempdir()) or "")
    if not temp_dir.is_dir() or not os.access(temp_dir, os.W_OK):
        environment.complain(f"KAYAN_TEMP_DIR is {str(temp_dir)!r}: it is no folder we may write to. Mount an emptyDir there, say")
    off = (environment.text("HEALTH_PORT") or "").lower() in ("off", "none", "no")
    return {
        "app_url": environment.url("NEXTAUTH_URL", ("https", "http"), "https://kayanlive.com") or "http://localhost:3000",
        "ffmpeg": environment.text("FFMPEG_BIN") or environment.text("FFMPEG_PATH"),
        "codec_processes": environment.integer("KAYAN_CODEC_PROCESSES", 0, 0, 1_000),
        "codec_memory_mb": environment.integer("KAYAN_CODEC_MEMORY_MB", 1536, 256, 1_000_000),
        "temp_dir": temp_dir,
        "pod": pod_name(environment),
        "health_host": environment.text("HEALTH_HOST", "0.0.0.0"),  # noqa: S104
        "health_port": None if off else environment.integer("HEALTH_PORT", 8080, 0, 65535),
        "notice": environment.text("KAYAN_NOTICE"),
        **log_settings(environment),
    }


def _mounted(environment: Environment, variables: Mapping[str, str]) -> Mounted | None:
    environment.known |= {FOLDERS, ADOPTED}
    for problem in read(environment.text(FOLDERS) or "")[1]:
        environment.complain(problem)
    return mounted_in(variables)


def _needing(roles: Sequence[Role], system: str) -> str:
    """Who needs ``system``, as the start of a sentence; empty when nobody does."""
    names = [role.name for role in roles if system in role.needs]
    match names:
        case []:
            return ""
        case [name]:
            return f"the role {name} has to speak"
        case [*several, last]:
            return f"the roles {', '.join(several)} and {last} have to speak"
        case _:  # pragma: no cover
            return ""
