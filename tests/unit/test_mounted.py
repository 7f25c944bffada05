"""Settings as files: what is adopted, what wins, and what counts as a change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from kayan_workers.errors import SettingsError
from kayan_workers.mounted import ADOPTED, FOLDERS, Mounted, adopt, mounted_in
from kayan_workers.settings import Settings
from secret import mount, swap

URL = "postgresql://kayan:s3cret-word@db:5432/kayanlive"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mount(tmp_path / "secret", DATABASE_URL=URL, REDIS_PASSWORD="hush-hush")


def adopted(folder: Path | str, **variables: str) -> dict[str, str]:
    environment = {FOLDERS: str(folder), **variables}
    adopt(environment)
    return environment


def files_of(environment: dict[str, str]) -> Mounted:
    found = mounted_in(environment)
    assert found is not None
    return found


def test_a_file_called_like_a_variable_is_a_setting_and_the_logs_keep_it_secret(folder: Path) -> None:
    settings = Settings.from_environment(adopted(folder))
    assert (settings.database_url, settings.redis.password) == (URL, "hush-hush")
    assert {"s3cret-word", "hush-hush"} <= set(settings.secrets)
    assert "s3cret-word" not in repr(settings)
    assert settings.warnings == ()


def test_the_end_of_the_line_is_no_part_of_it_and_other_files_are_no_settings(tmp_path: Path) -> None:
    (tmp_path / "REDIS_PASSWORD").write_text("hush-hush\r\n")
    (tmp_path / "tls.crt").write_text("a certificate")
    (tmp_path / ".REDIS_USERNAME").write_text("hidden")
    (tmp_path / "REDIS_HOST").mkdir()
    assert adopted(tmp_path) == {FOLDERS: str(tmp_path), ADOPTED: "REDIS_PASSWORD", "REDIS_PASSWORD": "hush-hush"}


def test_what_is_set_in_the_environment_wins_unless_it_is_empty(folder: Path) -> None:
    environment = adopted(folder, REDIS_PASSWORD="of the environment", DATABASE_URL="")
    assert (environment["REDIS_PASSWORD"], environment["DATABASE_URL"]) == ("of the environment", URL)


def test_of_several_folders_the_first_wins(folder: Path, tmp_path: Path) -> None:
    other = mount(tmp_path / "other", REDIS_PASSWORD="of the other", AWS_REGION="me-south-1")
    environment = adopted(f"{folder}:{other}")
    assert (environment["REDIS_PASSWORD"], environment["AWS_REGION"]) == ("hush-hush", "me-south-1")


def test_a_process_that_follows_reads_the_files_again_and_takes_nothing_adopted_for_set(folder: Path) -> None:
    environment = adopted(folder)
    swap(folder, REDIS_PASSWORD="a new one")
    adopt(environment)
    assert environment["REDIS_PASSWORD"] == "a new one"
    assert "DATABASE_URL" not in environment


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: Path(f"{folder}/REDIS_PASSWORD").unlink() or Path(f"{folder}/REDIS_PASSWORD").symlink_to("gone"), "No such file"),
        (lambda folder: (folder / "..data" / "REDIS_PASSWORD").write_bytes(b"a\0b"), "zero byte"),
        (lambda folder: (folder / "..data" / "REDIS_PASSWORD").write_bytes(b"a" * 200_000), "200000 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_of_the_problems_and_costs_no_other_setting(
    folder: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(folder)
    environment = adopted(folder)
    assert environment["DATABASE_URL"] == URL
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(environment)
    [problem] = caught.value.problems
    assert f"{FOLDERS}: {folder}/REDIS_PASSWORD cannot be read" in problem
    assert words in problem


def test_a_folder_that_is_not_there_is_told_with_all_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(adopted(tmp_path / "nowhere", REDIS_PORT="none"))
    assert [problem.split()[0] for problem in caught.value.problems] == ["REDIS_PORT", f"{FOLDERS}:"]
    assert "Mount the Secret there" in caught.value.problems[1]


# -- changes ---------------------------------------------------------------------------------------------------------------------


def test_a_secret_that_was_exchanged_is_a_change_of_what_differs(folder: Path) -> None:
    environment = adopted(folder)
    files = files_of(environment)
    assert files.anew(environment) is None
    swap(folder, DATABASE_URL=URL, REDIS_PASSWORD="a new one", AWS_REGION="me-south-1")
    changed = files.anew(environment)
    assert changed is not None
    assert changed[0] == ["AWS_REGION", "REDIS_PASSWORD"]
    assert (changed[1]["REDIS_PASSWORD"], changed[1]["DATABASE_URL"]) == ("a new one", URL)
    assert files.anew(environment) == changed, "whoever could not use it asks again"
    swap(folder, DATABASE_URL=URL, REDIS_PASSWORD="hush-hush")
    assert files.anew(environment) is None


def test_a_file_written_in_place_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "REDIS_PASSWORD").write_text("hush-hush")
    environment = adopted(tmp_path)
    files = files_of(environment)
    assert files.anew(environment) is None
    (tmp_path / "REDIS_PASSWORD").write_text("changed")
    changed = files.anew(environment)
    assert changed is not None
    assert changed[0] == ["REDIS_PASSWORD"]


def test_a_change_between_adopting_and_the_first_look_is_seen(folder: Path) -> None:
    environment = adopted(folder)
    swap(folder, DATABASE_URL=URL, REDIS_PASSWORD="a new one")
    assert files_of(environment).anew(environment) is not None


def test_an_exchange_that_changes_nothing_is_none(folder: Path) -> None:
    environment = adopted(folder)
    files = files_of(environment)
    swap(folder, DATABASE_URL=URL, REDIS_PASSWORD="hush-hush\n")
    assert files.anew(environment) is None


def test_a_file_that_the_environment_overrides_may_change_unheard(folder: Path) -> None:
    environment = adopted(folder, REDIS_PASSWORD="of the environment")
    files = files_of(environment)
    swap(folder, DATABASE_URL=URL, REDIS_PASSWORD="a new one")
    assert files.anew(environment) is None


def test_while_a_key_or_the_folder_is_missing_nothing_has_changed_until_it_is_back(folder: Path) -> None:
    environment = adopted(folder)
    files = files_of(environment)
    swap(folder, REDIS_PASSWORD="a new one")
    assert files.anew(environment) is None
    away = folder.rename(folder.with_name("away"))
    assert files.anew(environment) is None
    away.rename(folder)
    assert files.anew(environment) is None
    swap(folder, DATABASE_URL=URL, REDIS_PASSWORD="a new one")
    assert files.anew(environment) is not None


def test_a_key_that_stays_missing_has_been_removed(folder: Path) -> None:
    environment = adopted(folder, REDIS_HOST="redis")
    files = files_of(environment)
    swap(folder, DATABASE_URL=URL)
    assert files.anew(environment) is None
    files.patience_seconds = 0
    changed = files.anew(environment)
    assert changed is not None
    assert changed[0] == ["REDIS_PASSWORD"]
    assert (changed[1]["DATABASE_URL"], changed[1]["REDIS_HOST"], "REDIS_PASSWORD" in changed[1]) == (URL, "redis", False)


def test_each_time_that_a_key_is_missing_it_is_waited_for_anew(folder: Path) -> None:
    environment = adopted(folder)
    files = files_of(environment)
    swap(folder, DATABASE_URL=URL)
    assert files.anew(environment) is None
    swap(folder, DATABASE_URL=URL, REDIS_PASSWORD="hush-hush")
    assert files.anew(environment) is None
    swap(folder, DATABASE_URL=URL)
    files.patience_seconds = 60
    assert files.anew(environment) is None


@pytest.mark.parametrize("spoil", [lambda folder: folder.rename(folder.with_name("away")),
                                   lambda folder: (folder / "..data" / "REDIS_PASSWORD").write_bytes(b"a\0b")])  # fmt: skip
def test_what_can_no_longer_be_read_is_a_problem_once_it_stays_so(folder: Path, spoil: Callable[[Path], None]) -> None:
    environment = adopted(folder)
    files = files_of(environment)
    spoil(folder)
    assert files.anew(environment) is None
    files.patience_seconds = 0
    with pytest.raises(SettingsError, match=f"^{FOLDERS}: {folder}.* cannot be read"):
        files.anew(environment)


def test_bytes_that_are_no_text_come_through_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "REDIS_PASSWORD").write_bytes(b"caf\xe9")
    environment = adopted(tmp_path)
    assert os.fsencode(environment["REDIS_PASSWORD"]) == b"caf\xe9"
    assert files_of(environment).anew(environment) is None
