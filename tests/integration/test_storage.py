"""One object store after the other, against a real S3 server and a real folder: same promises."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.storage import FolderStorage, S3Storage, Storage
from plain_store import plain_store
from servers import S3Server


def s3_storage(server: S3Server, monkeypatch: pytest.MonkeyPatch, **other: str) -> S3Storage:
    """A store as a worker builds it: everything boto3 needs stands in the environment."""
    environment = {
        "AWS_ENDPOINT_URL_S3": server.endpoint, "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key, **other,
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return S3Storage(server.bucket, server.region)


@pytest.fixture
def s3_store(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    return s3_storage(s3, monkeypatch)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "store")
    store: Storage = request.getfixturevalue("s3_store")
    return store


def test_what_was_uploaded_comes_back_byte_for_byte(store: Storage, tmp_path: Path) -> None:
    stored = store.upload(b"hello", "assets/2025/11/a.txt", "text/plain")

    assert stored.size == 5
    assert stored.checksum == hashlib.md5(b"hello").hexdigest()
    assert stored.url == store.url("assets/2025/11/a.txt")
    assert store.download("assets/2025/11/a.txt", tmp_path / "back") == 5
    assert (tmp_path / "back").read_bytes() == b"hello"


def test_a_large_file_is_moved_in_pieces(store: Storage, tmp_path: Path) -> None:
    source = tmp_path / "film"
    source.write_bytes(os.urandom(1024 * 1024) * 20)

    stored = store.upload(source, "assets/film.mp4", "video/mp4")

    assert store.download("assets/film.mp4", tmp_path / "back") == stored.size == 20 * 1024 * 1024
    assert hashlib.md5((tmp_path / "back").read_bytes()).hexdigest() == stored.checksum


def test_a_second_upload_replaces_the_first(store: Storage, tmp_path: Path) -> None:
    store.upload(b"first", "a/b.txt", "text/plain")
    store.upload(b"second", "a/b.txt", "text/plain")

    store.download("a/b.txt", tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == b"second"
    assert [found.key for found in store.list("a/")] == ["a/b.txt"]


def test_a_missing_object_is_a_permanent_error_that_names_it(store: Storage, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"nothing/here\.png"):
        store.download("nothing/here.png", tmp_path / "back")
    assert not store.exists("nothing/here.png")


def test_deleting_is_done_once_and_harmless_twice(store: Storage) -> None:
    store.upload(b"x", "a/1", "text/plain")
    store.upload(b"x", "a/2", "text/plain")

    store.delete(["a/1", "a/none"])
    store.delete(["a/1"])
    store.delete([])

    assert not store.exists("a/1")
    assert store.exists("a/2")


def test_what_goes_is_deleted_and_what_a_folder_refuses_is_told_with_the_reason(folder: FolderStorage) -> None:
    folder.upload(b"x", "a/folder-in-its-place/file", "text/plain")
    folder.upload(b"x", "a/free", "text/plain")

    refused = folder.delete_what_goes(["a/folder-in-its-place", "a/free", "a/none"])

    assert list(refused) == ["a/folder-in-its-place"]
    assert "directory" in refused["a/folder-in-its-place"]
    assert not folder.exists("a/free")
    with pytest.raises(TemporaryError, match="1 of 2 objects were not deleted, first 'a/folder-in-its-place'"):
        folder.delete(["a/folder-in-its-place", "a/none"])


def test_what_goes_is_deleted_and_what_s3_refuses_is_told_with_the_reason(s3_with_holds: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = s3_storage(s3_with_holds, monkeypatch)
    for key in ("a/held", "a/free"):
        store.upload(b"x", key, "text/plain")
    s3_with_holds.hold("a/held")

    refused = store.delete_what_goes(["a/held", "a/free", "a/none"])

    assert list(refused) == ["a/held"]
    assert "AccessDenied" in refused["a/held"]
    assert s3_with_holds.keys() == ["a/held"]
    with pytest.raises(TemporaryError, match="1 of 1 objects were not deleted, first 'a/held': AccessDenied"):
        store.delete(["a/held"])


def test_an_upload_that_was_never_completed_is_listed_until_it_is_discarded(store: Storage, request: pytest.FixtureRequest) -> None:
    if isinstance(store, FolderStorage):
        store.upload(b"x", "assets/whole.bin", "text/plain")
        (store.root / "assets" / ".0123456789abcdef.part").write_bytes(b"half")
    else:
        server: S3Server = request.getfixturevalue("s3")
        server.client.create_multipart_upload(Bucket=server.bucket, Key="assets/2025/11/V1StGXR8_Z-half.mp4")
    later = datetime.now(UTC) + timedelta(minutes=1)

    [found] = store.unfinished(later)

    assert found.key.startswith("assets/")
    assert abs(found.modified - datetime.now(UTC)) < timedelta(minutes=5)
    assert list(store.unfinished(datetime.now(UTC) - timedelta(days=1))) == []
    assert store.discard_unfinished(later) == 1
    assert list(store.unfinished(later)) == []


def test_an_upload_of_somebody_else_in_the_bucket_is_neither_listed_nor_discarded(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = s3_storage(s3, monkeypatch)
    theirs = ["backups/2025/11/V1StGXR8_Z-dump.sql", "assets/half.mp4", "assets-raw/2025/11/V1StGXR8_Z-half.mp4"]
    ours = "client-uploads/cmhd8x2kq/2025/11/V1StGXR8_Z-half.mp4"
    for key in [*theirs, ours]:
        s3.client.create_multipart_upload(Bucket=s3.bucket, Key=key)
    later = datetime.now(UTC) + timedelta(minutes=1)

    assert [found.key for found in store.unfinished(later)] == [ours]
    assert store.discard_unfinished(later) == 1
    left = s3.client.list_multipart_uploads(Bucket=s3.bucket)["Uploads"]
    assert sorted(upload["Key"] for upload in left) == sorted(theirs)


def test_a_listing_tells_key_size_and_time_of_what_starts_with_the_prefix(store: Storage) -> None:
    for key in ("thumbnails/b.jpg", "thumbnails/a.jpg", "thumbnails-old/c.jpg", "assets/d.jpg"):
        store.upload(b"four", key, "image/jpeg")

    found = list(store.list("thumbnails/"))

    assert [entry.key for entry in found] == ["thumbnails/a.jpg", "thumbnails/b.jpg"]
    assert {entry.size for entry in found} == {4}
    assert all(abs(entry.modified - datetime.now(UTC)) < timedelta(minutes=5) for entry in found)


def test_names_in_any_language_and_with_two_dots_are_just_names(store: Storage, tmp_path: Path) -> None:
    for key in ("assets/صورة المعرض.png", "assets/a..b.png", "assets/with space (1).png"):
        store.upload(b"x", key, "image/png")

        assert store.download(key, tmp_path / "back") == 1


BAD_KEYS = ["", "/etc/hostname", "../x", "a/../../x", "a/..", "a//b", "./a", "a\\..\\b", "a\0b", "a\nb", "x" * 1100]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_leaves_the_store_or_addresses_all_of_it_is_refused_by_every_operation(store: Storage, tmp_path: Path, key: str) -> None:
    for operation in (
        lambda: store.download(key, tmp_path / "back"),
        lambda: store.upload(b"x", key, "text/plain"),
        lambda: store.delete(["fine", key]),
        lambda: store.exists(key),
    ):
        with pytest.raises(PermanentError, match="storage key"):
            operation()


def test_many_threads_share_one_store(store: Storage, tmp_path: Path) -> None:
    trouble: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                store.upload(f"{number}-{turn}".encode(), f"t/{number}", "text/plain")
                store.download(f"t/{number}", tmp_path / str(number))
        except Exception as error:
            trouble.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not trouble
    assert {(tmp_path / str(number)).read_text() for number in range(8)} == {f"{number}-4" for number in range(8)}


# -- the folder ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "store")


def test_a_link_that_leads_out_of_the_folder_is_refused(folder: FolderStorage, tmp_path: Path) -> None:
    folder.upload(b"x", "a/b", "text/plain")
    (tmp_path / "secret").write_text("secret")
    (folder.root / "out").symlink_to(tmp_path)
    (folder.root / "file").symlink_to(tmp_path / "secret")

    for key in ("out/secret", "file"):
        with pytest.raises(PermanentError, match="symbolic link"):
            folder.download(key, tmp_path / "back")
        with pytest.raises(PermanentError, match="symbolic link"):
            folder.delete([key])
    assert (tmp_path / "secret").read_text() == "secret"


def test_an_upload_that_fails_leaves_the_old_object_and_no_rest(folder: FolderStorage, tmp_path: Path) -> None:
    folder.upload(b"old", "a/b", "text/plain")

    with pytest.raises(TemporaryError):
        folder.upload(tmp_path / "does-not-exist", "a/b", "text/plain")

    assert (folder.root / "a/b").read_bytes() == b"old"
    assert [path.name for path in (folder.root / "a").iterdir()] == ["b"]


def test_an_upload_under_way_is_not_listed_but_a_file_called_part_is(folder: FolderStorage) -> None:
    folder.upload(b"x", "a/film.part", "text/plain")
    (folder.root / "a/.0123456789abcdef.part").write_bytes(b"half")

    assert [found.key for found in folder.list("")] == ["a/film.part"]


def test_a_name_too_long_for_the_disk_names_no_object(folder: FolderStorage, tmp_path: Path) -> None:
    key = f"assets/{'n' * 300}.png"
    assert not folder.exists(key)
    folder.delete([key])
    with pytest.raises(PermanentError, match="holds no object"):
        folder.download(key, tmp_path / "back")
    with pytest.raises(PermanentError, match="too long"):
        folder.upload(b"x", key, "image/png")


def test_the_address_of_a_file_is_the_apps_own_route(folder: FolderStorage) -> None:
    assert folder.url("thumbnails/2025/11/a.jpg") == "/api/files/thumbnails/2025/11/a.jpg"
    assert FolderStorage(folder.root, "https://app.example/api/files/").url("a.jpg") == "https://app.example/api/files/a.jpg"


# -- S3 --------------------------------------------------------------------------------------------------------------------------


def test_an_object_carries_its_type_checksum_and_name_as_the_app_writes_them(s3: S3Server, s3_store: S3Storage) -> None:
    s3_store.upload(b"hello", "thumbnails/2025/11/abc-x-thumb.jpg", "image/jpeg")

    head = s3.client.head_object(Bucket=s3.bucket, Key="thumbnails/2025/11/abc-x-thumb.jpg")

    assert head["ContentType"] == "image/jpeg"
    assert {name.lower(): value for name, value in head["Metadata"].items()} == {
        "checksum": hashlib.md5(b"hello").hexdigest(), "originalfilename": "abc-x-thumb.jpg",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cdn", "expected"),
    [
        (None, "https://kayan.s3.eu-west-1.amazonaws.com/a/b.jpg"),
        ("https://cdn.example", "https://cdn.example/a/b.jpg"),
        ("https://cdn.example/", "https://cdn.example/a/b.jpg"),
    ],
)
def test_the_address_of_an_object_is_the_cdns_or_the_buckets(cdn: str | None, expected: str) -> None:
    assert S3Storage("kayan", "eu-west-1", cdn).url("a/b.jpg") == expected


def test_a_store_that_knows_no_newer_checksums_than_md5_is_served_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small, large = b"hello", os.urandom(1024) * 9 * 1024
    (tmp_path / "large").write_bytes(large)
    with plain_store() as plain:
        store = s3_storage(S3Server(plain.endpoint, "key", "secret", bucket="kayan"), monkeypatch)

        store.upload(small, "a/small", "text/plain")
        store.upload(tmp_path / "large", "a/large", "video/mp4")
        store.download("a/large", tmp_path / "back")

        assert plain.objects == {"/kayan/a/small": small, "/kayan/a/large": large}
        assert (tmp_path / "back").read_bytes() == large
        store.delete(["a/small", "a/large"])
        assert not store.exists("a/small")
        assert plain.objects == {}


def test_wrong_credentials_are_worth_a_retry_and_say_what_to_check(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = s3_storage(s3, monkeypatch, AWS_SECRET_ACCESS_KEY="wrong")

    with pytest.raises(TemporaryError, match="AWS_SECRET_ACCESS_KEY"):
        store.download("a/b", tmp_path / "back")
    with pytest.raises(TemporaryError, match="AWS_SECRET_ACCESS_KEY"):
        store.upload(b"x", "a/b", "text/plain")
    (tmp_path / "file").write_bytes(b"x" * 9_000_000)
    with pytest.raises(TemporaryError, match="AWS_SECRET_ACCESS_KEY"):
        store.upload(tmp_path / "file", "a/b", "text/plain")


def test_a_bucket_that_does_not_exist_is_worth_a_retry_whatever_is_done_and_names_the_setting(
    s3: S3Server, s3_store: S3Storage, tmp_path: Path
) -> None:
    store = S3Storage("no-such-bucket-anywhere", s3.region)

    for operation in (
        lambda: store.upload(b"x", "a/b", "text/plain"),
        lambda: store.download("a/b", tmp_path / "back"),
        lambda: store.exists("a/b"),
        lambda: store.delete(["a/b"]),
        lambda: list(store.list("a/")),
        store.check,
    ):
        with pytest.raises(TemporaryError, match=r"NoSuchBucket.*AWS_S3_BUCKET"):
            operation()


def test_a_check_passes_where_the_store_can_be_used(store: Storage) -> None:
    store.upload(b"x", "a/b", "text/plain")

    store.check()


def test_missing_credentials_are_named_and_not_the_network(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(TemporaryError, match="set AWS_ACCESS_KEY_ID") as caught:
        S3Storage(s3.bucket, s3.region).upload(b"x", "a/b", "text/plain")

    assert "network" not in str(caught.value)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def test_a_store_that_cannot_be_reached_is_trouble_to_retry_and_never_a_local_copy(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, silent_port: int
) -> None:
    store = s3_storage(s3, monkeypatch, AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{silent_port}")
    monkeypatch.chdir(tmp_path)

    for operation in (
        lambda: store.upload(b"x", "a/b", "text/plain"),
        lambda: store.download("a/b", tmp_path / "back"),
        lambda: store.delete(["a/b"]),
        lambda: store.exists("a/b"),
        lambda: list(store.list("a/")),
    ):
        with pytest.raises(TemporaryError, match=s3.bucket):
            operation()
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_this_machine_has_no_place_for_is_worth_a_retry_and_names_the_folder(
    s3_store: S3Storage, tmp_path: Path
) -> None:
    s3_store.upload(b"hello", "a/b", "text/plain")

    with pytest.raises(TemporaryError, match=r"reading 'a/b': .*KAYAN_TEMP_DIR"):
        s3_store.download("a/b", tmp_path / "gone" / "back")


def test_a_half_downloaded_object_leaves_no_file(s3: S3Server, s3_store: S3Storage, tmp_path: Path) -> None:
    with pytest.raises(PermanentError):
        s3_store.download("missing", tmp_path / "back")

    assert list(tmp_path.iterdir()) == []
