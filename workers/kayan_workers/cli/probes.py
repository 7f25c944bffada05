"""The single checks of ``kayan check``. Each returns what it found, or raises Trouble with the remedy."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kayan_workers.cli.trouble import Trouble
from kayan_workers.edges import Edges

if TYPE_CHECKING:
    from boto3.session import Session

    from kayan_workers.bull.server import RedisAddress, Server
    from kayan_workers.processors.table import Role
    from kayan_workers.settings import Settings

_PATIENCE_SECONDS = 10.0
_LEAST_FREE_BYTES = 1024**3


# -- Redis -----------------------------------------------------------------------------------------------------------------------


def redis(settings: Settings) -> str:
    return asyncio.run(_with_server(settings, _redis))


async def _with_server(settings: Settings, probe: Callable[[Server, Settings], Awaitable[str]]) -> str:
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisTimeoutError

    from kayan_workers.bull.server import Server

    if settings.redis.options().get("ssl") and await _speaks_plainly(settings.redis):
        raise Trouble(f"{settings.redis}: the server speaks without TLS there",
                      "set REDIS_TLS=false, begin REDIS_URL with redis://, or give the port on which it speaks TLS")  # fmt: skip
    server = Server(settings.redis, call_timeout=_PATIENCE_SECONDS)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await probe(server, settings)
    except (TimeoutError, RedisTimeoutError):
        raise Trouble(f"{settings.redis} does not answer within {_PATIENCE_SECONDS:g} s",
                      "is it a firewall, a network policy, or TLS on one side only (REDIS_TLS)?") from None  # fmt: skip
    except (RedisError, OSError) as error:
        raise Trouble(f"{settings.redis}: {str(error).rstrip('.')}", _redis_remedy(error, settings.redis)) from error
    finally:
        await server.close()


async def _speaks_plainly(address: RedisAddress) -> bool:
    """Whether a server that should speak TLS answers without: its own client would wait for a greeting until time runs out."""
    options = address.options()
    if address.sentinels or "unix_socket_path" in options:
        return False
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(options["host"], options["port"])
            writer.write(b"PING\r\n")
            said = await reader.read(1)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return said in (b"+", b"-")


def _redis_remedy(error: Exception, address: RedisAddress) -> str:
    from redis.exceptions import ResponseError

    from kayan_workers.bull.server import is_credentials_error

    if is_credentials_error(error):
        return "mend REDIS_USERNAME and REDIS_PASSWORD, or the user's ACL"
    if isinstance(error, ResponseError):
        return "the server answers, but refuses: its own log and `redis-cli INFO` tell more"
    uses_tls = bool(address.options().get("ssl"))
    if uses_tls and re.search("ssl|certificate", str(error), re.IGNORECASE):
        return "mend REDIS_TLS_CA_FILE, or set REDIS_TLS=false where the server speaks without TLS"
    if not uses_tls and re.search("closed|reset", str(error), re.IGNORECASE):
        return "does the server want TLS? Then set REDIS_TLS=true, or begin REDIS_URL with rediss://"
    return "is the server running, and are REDIS_HOST and REDIS_PORT (or REDIS_URL) the web app's own? Try: redis-cli -h HOST ping"


async def _redis(server: Server, settings: Settings) -> str:
    warnings = await server.examine()
    began = time.perf_counter()
    await server.commands.ping()
    milliseconds = (time.perf_counter() - began) * 1000
    await _try_writing(server, settings)
    if warnings:
        raise Trouble(warnings[0], "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file", is_mild=True)
    if milliseconds > 50:
        raise Trouble(f"a call takes {milliseconds:.0f} ms", "run the workers nearer to Redis: every job costs a few calls", is_mild=True)
    info = await server.commands.info("server")
    # Valkey goes on calling itself Redis 7.2.4 beside its own name
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info.get('redis_version', '?')}"
    return f"{settings.redis}, {name}, {milliseconds:.1f} ms a call"


async def _try_writing(server: Server, settings: Settings) -> None:
    """A script that writes: what an ACL or a full or read-only server would refuse to every worker."""
    key = f"kayan:check:{settings.prefix}:{secrets.token_hex(6)}"
    await server.commands.eval("redis.call('SET', KEYS[1], '1', 'PX', 1000) return redis.call('DEL', KEYS[1])", 1, key)


def queues(settings: Settings, roles: Sequence[Role]) -> str:
    return asyncio.run(_with_server(settings, lambda server, settings: _queues(server, settings, roles)))


async def _queues(server: Server, settings: Settings, roles: Sequence[Role]) -> str:
    from kayan_workers.bull.queue import Queue
    from kayan_workers.cli.queues import read

    rows = await read(roles, [Queue(role.queue, server, prefix=settings.prefix) for role in roles])
    paused = [row["queue"] for row in rows if row["is_paused"]]
    idle = [row["queue"] for row in rows if row["workers"] == 0 and row["waiting"] + row["active"] > 0]
    if paused:
        raise Trouble(f"paused: {', '.join(paused)}", f"kayan resume {' '.join(paused)}", is_mild=True)
    if idle:
        raise Trouble(f"jobs wait and nobody works them: {', '.join(idle)}", f"kayan worker {' '.join(idle)}", is_mild=True)
    waiting, failed = sum(row["waiting"] for row in rows), sum(row["failed"] for row in rows)
    return f"{waiting} jobs wait, {failed} have failed" + (" (kayan jobs QUEUE shows why)" if failed else "")


# -- the other systems -----------------------------------------------------------------------------------------------------------


def database(settings: Settings, roles: Sequence[Role]) -> str:
    from kayan_workers.cli.rights import require
    from kayan_workers.database import Database, remedy
    from kayan_workers.errors import TemporaryError

    assert settings.database_url is not None
    base = Database(settings.database_url, pool_size=1, application_name="kayan check", wait_seconds=5)
    try:
        with base.transaction() as connection:
            version = connection.execute("SHOW server_version").fetchone()
            require(connection, roles, settings.cleanup)
    except TemporaryError as error:
        raise Trouble(error.says, error.remedy or remedy(error.says)) from error
    finally:
        base.close()
    return f"version {version[0] if version else '?'}, the app's tables are there and may be used"


def storage(settings: Settings) -> str:
    """Write, read and delete a small object."""
    store = Edges(settings).storage
    key, content = f"kayan-check/{secrets.token_hex(8)}.txt", b"kayan check"
    where = f"folder {settings.storage_folder}" if settings.storage_folder else f"bucket {settings.bucket}"
    with tempfile.TemporaryDirectory(dir=settings.temp_dir) as folder:
        copy = Path(folder) / "copy"
        store.upload(content, key, "text/plain")
        try:
            store.download(key, copy)
            if copy.read_bytes() != content:
                raise Trouble(f"{where} returned something else than was written", "is there a cache or a proxy before the endpoint?")
        finally:
            store.delete([key])
    return f"{where}: written, read and deleted a test object"


def mail(settings: Settings) -> str:
    if settings.outbox is not None:
        try:
            settings.outbox.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=settings.outbox):
                return f"outbox {settings.outbox}: nothing leaves this machine"
        except OSError as error:
            raise Trouble(f"outbox {settings.outbox} cannot be written: {error.strerror}",
                          "mend KAYAN_MAIL, or the folder's owner and mode") from error  # fmt: skip
    return _ses(settings)


def _ses(settings: Settings) -> str:
    """Whether SES accepts our credentials and our sender. Sends nothing."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
    session = boto3.session.Session()
    client = session.client("ses", region_name=settings.ses_region, config=config)
    domain = settings.email_from.partition("@")[2]
    quota = None
    try:
        with suppress(client.exceptions.ClientError):
            quota = client.get_send_quota()
        known = client.get_identity_verification_attributes(Identities=[settings.email_from, domain])["VerificationAttributes"]
    except (BotoCoreError, ClientError) as error:
        raise Trouble(f"SES in {settings.ses_region}: {error}",
                      "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the pod's role (ses:SendRawEmail, ses:GetSendQuota, "
                      "ses:GetIdentityVerificationAttributes), AWS_SES_REGION, and AWS_ENDPOINT_URL_SES if set") from error  # fmt: skip
    if not any(entry.get("VerificationStatus") == "Success" for entry in known.values()):
        raise Trouble(f"SES in {settings.ses_region} knows neither {settings.email_from} nor its domain as verified",
                      "verify one of them in SES, or mend EMAIL_FROM or AWS_SES_REGION")  # fmt: skip
    untold = None if settings.suppression == "off" else _trouble_with_the_suppression_list(session, settings)
    if untold and not untold.is_mild:
        raise untold
    if quota is None:
        raise Trouble(f"SES in {settings.ses_region} does not tell its sending rate, so mails slow down only once it refuses some",
                      "allow ses:GetSendQuota to the pod's role or user", is_mild=True)  # fmt: skip
    daily, rate = quota.get("Max24HourSend", 0), quota.get("MaxSendRate", 0)
    if daily == 200 and rate == 1:
        raise Trouble("SES is in its sandbox: 200 mails a day, to verified addresses only", "ask AWS for production access", is_mild=True)
    if untold:
        raise untold
    return f"SES in {settings.ses_region}: {quota.get('SentLast24Hours', 0):.0f} of {daily:.0f} mails today, at most {rate:g} a second"


def _trouble_with_the_suppression_list(session: Session, settings: Settings) -> Trouble | None:
    """Mild, unless the settings insist on its answers and there are none: without them mails go out all the same."""
    from kayan_workers.suppression.suppressed import SuppressionList

    ses = f"SES in {settings.ses_region}"
    suppressed = SuppressionList(session, settings.ses_region, endpoint=settings.suppression_endpoint)
    asking, reading = (found if found and found.why else None for found in suppressed.examine("kayan-check@example.com"))
    if asking and reading:
        why = asking.along_with(reading)
        says = f"{ses} does not tell whom it suppresses, so no mail is held back for it: {why.why}"
        return Trouble(says, why.remedy, is_mild=settings.suppression != "check")
    if reading:
        says = f"{ses} does not give its whole suppression list, so in a burst most mails go out without a question: {reading.why}"
        return Trouble(says, reading.remedy, is_mild=True)
    if asking:
        says = f"{ses} does not tell of single addresses, so mails to one that leaves its suppression list fail up to six hours longer"
        return Trouble(f"{says}: {asking.why}", asking.remedy, is_mild=True)
    return None


# -- this machine -----------------------------------------------------------------------------------------------------------------


def temp_dir(settings: Settings) -> str:
    try:
        with tempfile.NamedTemporaryFile(dir=settings.temp_dir) as file:
            file.write(b"kayan")
    except OSError as error:
        raise Trouble(f"{settings.temp_dir} cannot be written: {error.strerror}", "free space there, or mend KAYAN_TEMP_DIR") from error
    free = shutil.disk_usage(settings.temp_dir).free
    if free < _LEAST_FREE_BYTES:
        raise Trouble(f"{settings.temp_dir} has {free / 1024**2:.0f} MB left",
                      "a video and its variants need a few times its size: free space, or mend KAYAN_TEMP_DIR", is_mild=True)  # fmt: skip
    return f"{settings.temp_dir}, {free / 1024**3:.0f} GB free"


def processors(roles: Sequence[Role]) -> str:
    """Load every processor, as a worker would."""
    from kayan_workers.binding import Rehearsal

    if problems := Rehearsal(roles).problems():
        raise Trouble("; ".join(problems), "install the extras named, or run fewer roles here")
    return f"{', '.join(role.name for role in roles)} can be loaded"
