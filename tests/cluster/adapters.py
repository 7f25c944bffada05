"""Other people's servers of external metrics, KEDA and prometheus-adapter, as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cluster import registration
from cluster.kube import Namespace, until
from cluster.registration import Turn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

READY_SECONDS = 60


def certified(folder: Path, *names: str) -> Path:
    """A folder with ``ca.crt``, ``tls.crt`` and ``tls.key``, good for both ends of a connection to this machine or to one of ``names``."""
    now, alternatives = datetime.now(UTC), [x509.IPAddress(ip_address("127.0.0.1")), *map(x509.DNSName, ("localhost", *names))]
    key, of_authority = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def signed(name: str, public: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(
            issuer_name=_named("adapters"), subject_name=_named(name), public_key=public, serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(minutes=5), not_valid_after=now + timedelta(days=1),
        )  # fmt: skip
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(of_authority, hashes.SHA256()).public_bytes(Encoding.PEM)

    both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    (folder / "ca.crt").write_bytes(signed("adapters", of_authority.public_key(), x509.BasicConstraints(ca=True, path_length=0)))
    (folder / "tls.crt").write_bytes(signed("adapter", key.public_key(), x509.SubjectAlternativeName(alternatives), both_ends))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kayan-adapter-") as made:
        yield Path(made)


@contextlib.contextmanager
def at_work(command: Sequence[str], variables: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A program for as long as the block, which it must outlive; yields the file of what it says."""
    with folder() as here:
        said = here / "log"
        with said.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=here, env={**os.environ, **(variables or {})})
        try:
            yield said
            assert process.poll() is None, f"{command[0]} has ended: {said.read_text()[-4000:]}"
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def registered(namespace: Namespace, turn: Turn, service: str, port: int, authority: Path, said: Path) -> Iterator[None]:
    """kube-apiserver asks this port of this machine for external metrics, for as long as the block."""
    registration.expose(namespace, service, [port])
    registration.register(turn, namespace, service, authority.read_bytes())
    try:
        until(_is_available, READY_SECONDS, every=0.5, what=f"{service} serves external metrics", trouble=lambda: said.read_text()[-4000:])
        yield
    finally:
        registration.remove(registration.LABEL)


def _is_available() -> bool:
    conditions = ((registration.found() or {}).get("status") or {}).get("conditions", ())
    return any((one["type"], one["status"]) == ("Available", "True") for one in conditions)


def who_is_who() -> list[str]:
    """How a server that Kubernetes' own library makes is told who asks, and who may: by the cluster of KUBECONFIG."""
    return [f"--{what}-kubeconfig={os.environ['KUBECONFIG']}" for what in ("authentication", "authorization", "lister")]
