"""The environment, read and reported whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from kayan_workers.errors import SettingsError
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Rate, Settings

BY_NAME = {role.name: role for role in ROLES}
ENOUGH = {"DATABASE_URL": "postgresql://kayan:s3cret@db:5432/kayanlive?schema=public", "AWS_S3_BUCKET": "kayanlive-assets"}


def problems(variables: dict[str, str], *roles: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(variables, [BY_NAME[name] for name in roles])
    return caught.value.problems


def test_an_empty_environment_is_enough_for_a_command_that_needs_redis_alone() -> None:
    settings = Settings.from_environment({})
    assert (settings.redis.host, settings.redis.port, settings.redis.password) == ("localhost", 6379, None)
    assert (settings.prefix, settings.backoff, settings.lock_duration_ms, settings.lock_renew_ms) == ("bull", "documented", 30_000, 15_000)


def test_the_web_apps_own_names_are_read() -> None:
    settings = Settings.from_environment(
        ENOUGH
        | {"REDIS_HOST": "redis", "REDIS_PORT": "6380", "REDIS_PASSWORD": "hush", "AWS_REGION": "me-south-1", "AWS_CLOUDFRONT_URL": "https://cdn.example",
           "AWS_SES_REGION": "eu-west-1", "EMAIL_FROM": "hi@kayan.example", "EMAIL_FROM_NAME": "Kayan", "NEXTAUTH_URL": "https://kayan.example",
           "NODE_ENV": "production", "FFMPEG_BIN": "/usr/bin/ffmpeg"},
        ROLES,
    )  # fmt: skip
    assert (settings.redis.host, settings.redis.port, settings.redis.password) == ("redis", 6380, "hush")
    assert (settings.bucket, settings.aws_region, settings.cdn_url, settings.ses_region) == (
        "kayanlive-assets", "me-south-1", "https://cdn.example", "eu-west-1")  # fmt: skip
    assert (settings.email_from, settings.email_from_name, settings.app_url) == ("hi@kayan.example", "Kayan", "https://kayan.example")
    assert (settings.log_level, settings.log_format, settings.ffmpeg) == ("info", "json", "/usr/bin/ffmpeg")


def test_an_empty_variable_counts_as_not_set() -> None:
    settings = Settings.from_environment({"REDIS_PASSWORD": "", "REDIS_PORT": " ", "LOG_LEVEL": ""})
    assert (settings.redis.password, settings.redis.port, settings.log_level) == (None, 6379, "debug")


@pytest.mark.parametrize(
    ("role", "missing"),
    [
        ("asset", ["DATABASE_URL", "AWS_S3_BUCKET"]),
        ("email", ["DATABASE_URL"]),
        ("notification", ["DATABASE_URL"]),
        ("cleanup", ["DATABASE_URL", "AWS_S3_BUCKET"]),
    ],
)
def test_only_what_the_chosen_roles_need_is_required(role: str, missing: list[str]) -> None:
    found = problems({}, role)
    assert [problem.split(" ")[0] for problem in found] == missing
    assert all(f"the role {role} has to speak" in problem for problem in found)


def test_every_problem_is_reported_at_once_each_with_its_remedy() -> None:
    found = problems(
        {"REDIS_PORT": "abc", "DATABASE_URL": "mysql://root:hunter22@db/kayan", "KAYAN_BACKOFF": "documentd", "CONCURRENCY_EMAIL": "0",
         "CONCURRENCY_EMIAL": "4", "KAYAN_STORAGE": "disk", "LOG_LEVEL": "loud", "REDIS_TLS": "maybe", "LOCK_RENEW_MS": "40000",
         "AWS_ACCESS_KEY_ID": "AKIA", "RATE_LIMIT_EMAIL": "fast", "EMAIL_FROM": "Kayan <a@b.c>", "REDIS_SENTINELS": "one:x"},
        "email", "thumbnail",
    )  # fmt: skip
    text = "\n".join(found)
    for name in ("REDIS_PORT is 'abc'", "DATABASE_URL: it starts with 'mysql://'", "did you mean documented?", "CONCURRENCY_EMAIL is 0",
                 "CONCURRENCY_EMIAL names no role", "KAYAN_STORAGE is 'disk'", "LOG_LEVEL is 'loud'", "REDIS_TLS is 'maybe'",
                 "LOCK_RENEW_MS is 40000", "AWS_SECRET_ACCESS_KEY is not set", "RATE_LIMIT_EMAIL is 'fast'", "EMAIL_FROM is",
                 "REDIS_SENTINELS: 'one:x'", "AWS_S3_BUCKET is not set"):  # fmt: skip
        assert name in text
    assert "hunter22" not in text


def test_a_port_put_there_by_kubernetes_is_recognised() -> None:
    [problem] = problems({"REDIS_PORT": "tcp://10.43.0.5:6379"})
    assert "enableServiceLinks: false" in problem
    assert "Service named 'redis'" in problem


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://localhost:6379", "starts with 'http://'"),
        ("localhost:6379", "has no scheme"),
        ("redis://user:se/cret@host:6379/0", "percent-encoded"),
        ("redis://host:99999/0", "its port is not a number from 1 to 65535"),
        ("redis://:hush@:6379", "names no host"),
    ],
)
def test_a_wrong_url_names_its_wrong_part_and_shows_no_password(url: str, part: str) -> None:
    [problem] = problems({"REDIS_URL": url})
    assert problem.startswith("REDIS_URL: ")
    assert part in problem
    assert "cret" not in problem
    assert "hush" not in problem


@pytest.mark.parametrize("url", ["postgresql://postgres:@/postgres?host=/run/postgres", "postgres://u:p@one:5432,two:5433/kayan"])
def test_libpqs_own_forms_of_a_url_are_fine(url: str) -> None:
    assert Settings.from_environment({"DATABASE_URL": url}).database_url == url


def test_a_process_holds_two_connections_to_the_database_unless_told_otherwise() -> None:
    assert Settings.from_environment(ENOUGH).database_pool_size == Settings().database_pool_size == 2
    assert Settings.from_environment(ENOUGH | {"DATABASE_POOL_SIZE": "7"}).database_pool_size == 7


def test_a_folder_is_used_only_when_asked_for_by_name(tmp_path: Path) -> None:
    settings = Settings.from_environment(ENOUGH | {"KAYAN_STORAGE": f"folder:{tmp_path}", "KAYAN_MAIL": f"outbox:{tmp_path}/mail"}, ROLES)
    assert (settings.storage_folder, settings.outbox) == (tmp_path, tmp_path / "mail")
    assert Settings.from_environment(ENOUGH, ROLES).storage_folder is None


@pytest.mark.parametrize("address", ["Ünal@kayan.example", "no-reply@kayan", "a..b@kayan.example", f"{'a' * 65}@kayan.example"])
def test_a_sender_that_no_mail_can_come_from_is_found_before_the_first_mail(address: str) -> None:
    [problem] = problems(ENOUGH | {"EMAIL_FROM": address}, "email")
    assert problem.startswith("EMAIL_FROM is ")
    assert Settings.from_environment(ENOUGH | {"EMAIL_FROM": address}, [BY_NAME["analytics"]]).email_from == address


def test_a_cluster_wants_a_hash_tag_and_no_sentinels() -> None:
    found = problems({"REDIS_CLUSTER": "true", "REDIS_SENTINELS": "a:1,b"})
    assert any("BULL_PREFIX={bull}" in problem for problem in found)
    assert any("one or the other" in problem for problem in found)
    settings = Settings.from_environment({"REDIS_CLUSTER": "true", "BULL_PREFIX": "{bull}"})
    assert settings.redis.cluster


def test_sentinels_without_a_port_get_the_usual_one() -> None:
    assert Settings.from_environment({"REDIS_SENTINELS": "a, b:5"}).redis.sentinels == (("a", 26379), ("b", 5))


def test_numbers_of_roles_are_overridden_one_by_one() -> None:
    settings = Settings.from_environment({"CONCURRENCY_EMAIL": "3", "JOB_TIMEOUT_SECONDS_VARIANT": "0", "RATE_LIMIT_EMAIL": "14/1000"})
    assert settings.concurrency == {"email": 3}
    assert settings.timeout_seconds == {"variant": 0}
    assert settings.rates == {"email": Rate(jobs=14, per_ms=1000)}


def test_a_misspelt_name_is_a_warning_and_another_programs_is_not() -> None:
    settings = Settings.from_environment({"REDIS_PASWORD": "x", "KAYAN_WORKERS_SERVICE_HOST": "10.0.0.1", "REDIS_SERVICE_HOST": "10.0.0.2"})
    assert settings.warnings == ("REDIS_PASWORD is set, but nothing reads it; is REDIS_PASSWORD meant?",)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_a_store_of_ones_own_without_an_address_for_browsers_is_a_warning_that_names_the_variable(name: str) -> None:
    settings = Settings.from_environment(ENOUGH | {name: "http://minio:9000"}, [BY_NAME["thumbnail"]])

    [warning] = settings.warnings
    assert warning.startswith(f"{name} names a store of your own")
    assert "https://kayanlive-assets.s3.us-east-1.amazonaws.com" in warning
    assert "Set AWS_CLOUDFRONT_URL" in warning


@pytest.mark.parametrize(
    ("more", "role"),
    [
        ({"AWS_CLOUDFRONT_URL": "https://objects.example.com/kayanlive-assets"}, "thumbnail"),
        ({"KAYAN_STORAGE": "folder:/tmp"}, "thumbnail"),
        ({"AWS_ENDPOINT_URL_S3": "https://bucket.vpce-1a2b3c4d.s3.us-east-1.vpce.amazonaws.com"}, "thumbnail"),
        ({}, "cleanup"),
        ({}, "email"),
    ],
)
def test_nobody_is_warned_of_urls_that_can_be_loaded_or_are_never_written(more: dict[str, str], role: str) -> None:
    settings = Settings.from_environment(ENOUGH | {"AWS_ENDPOINT_URL_S3": "http://minio:9000"} | more, [BY_NAME[role]])

    assert settings.warnings == ()


def test_secrets_are_known_for_masking_and_shown_by_no_repr() -> None:
    settings = Settings.from_environment(ENOUGH | {"REDIS_URL": "redis://kayan:p%40ss-word@redis:6379", "REDIS_PASSWORD": "another-one"})
    assert set(settings.secrets) == {"s3cret", "p%40ss-word", "p@ss-word", "another-one"}
    for secret in settings.secrets:
        assert secret not in str(settings)


def test_a_temporary_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    [problem] = problems({"KAYAN_TEMP_DIR": str(tmp_path / "absent")})
    assert "KAYAN_TEMP_DIR" in problem


def test_a_pods_name_never_breaks_a_token() -> None:
    assert Settings.from_environment({"POD_NAME": "ada@laptop/1"}).pod == "ada-laptop-1"


def test_cleanups_are_switched_and_personal_data_is_kept_as_the_environment_says() -> None:
    usual = Settings.from_environment({}).cleanup
    assert usual.on == {"EXPIRED_EXTERNAL_LINKS", "EXPIRED_INVITATIONS", "OWN_RECORDS", "UNFINISHED_UPLOADS"}
    assert (usual.retention_days, usual.orphaned_percent) == ({}, 10)
    told = Settings.from_environment(
        {"KAYAN_CLEANUP_ORPHANED_OBJECTS": "on", "KAYAN_CLEANUP_UNFINISHED_UPLOADS": "off", "KAYAN_RETENTION_SEARCH_HISTORY_DAYS": "90",
         "KAYAN_CLEANUP_ORPHANED_PERCENT": "2.5"},
    ).cleanup  # fmt: skip
    assert told.on == (usual.on | {"ORPHANED_OBJECTS"}) - {"UNFINISHED_UPLOADS"}
    assert (told.retention_days, told.orphaned_percent) == ({"SEARCH_HISTORY": 90}, 2.5)


def test_a_retention_that_is_none_or_is_misspelt_is_refused_because_data_would_stay_or_go_unnoticed() -> None:
    found = problems({"KAYAN_RETENTION_NOTIFICATIONS_DAYS": "0", "KAYAN_RETENTION_SEARCHES_DAYS": "90", "KAYAN_CLEANUP_STUCK": "on"})
    assert [problem.partition(":")[0].split(" is ")[0] for problem in found] == [
        "KAYAN_RETENTION_NOTIFICATIONS_DAYS", "KAYAN_CLEANUP_STUCK", "KAYAN_RETENTION_SEARCHES_DAYS",
    ]  # fmt: skip
    assert "KAYAN_RETENTION_SEARCH_HISTORY_DAYS" in found[2]
