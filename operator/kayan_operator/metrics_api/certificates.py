"""The serving certificate and the authority that signs it: made, checked, and when each gives way to the next. Pure but for random keys.

An authority is followed by the next one long before it ends, and without a moment in which kube-apiserver trusts the wrong one: the next
is added to the bundle; the bundle is published; only then does it sign the serving certificate; later the old one is dropped. Which of
these steps is next can be seen from the certificates themselves, so replicas that share them need no other agreement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kayan_operator.metrics_api.signatures import issued_by

BUNDLE: Final = "ca.crt"
"""The authorities, the newest first."""
AUTHORITY_KEY: Final = "ca.key"
"""The private key of the newest authority. Those of the others are gone: they sign nothing any more."""
CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""Certificates begin to be valid so much before they are made."""


class BrokenError(ValueError):
    """Stored contents are not what was stored once; the message says what is wrong with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long things are valid, and when they are followed by others."""

    authority: timedelta = timedelta(days=3650)
    next_authority_before: timedelta = timedelta(days=365)
    """So long before an authority ends there is the next one."""
    published_for: timedelta = timedelta(minutes=5)
    """So long has a bundle been published when its newest authority begins to sign: kube-apiservers and replicas learn of it by and by."""
    old_authority_for: timedelta = timedelta(hours=1)
    """So long after the newest has begun to sign, the others are still trusted."""
    certificate: timedelta = timedelta(days=90)
    next_certificate_before: timedelta = timedelta(days=30)

    def __post_init__(self) -> None:
        if self.authority <= self.next_authority_before or self.certificate <= self.next_certificate_before:
            raise ValueError("what is followed before it was made would be made for ever")


@dataclass(frozen=True)
class Material:
    """What replicas share: authorities, the newest first, and the serving certificate that one of them has signed."""

    authorities: tuple[x509.Certificate, ...]
    authority_key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def parse(cls, data: Mapping[str, bytes]) -> Material:
        """What was stored as ``data()``. Raises BrokenError."""
        missing = [name for name in (BUNDLE, AUTHORITY_KEY, CERTIFICATE, KEY) if not data.get(name)]
        if missing:
            raise BrokenError(f"{', '.join(missing)} missing")
        try:
            authorities = tuple(x509.load_pem_x509_certificates(data[BUNDLE]))
            certificate = x509.load_pem_x509_certificate(data[CERTIFICATE])
        except ValueError as error:
            raise BrokenError(f"a certificate is not PEM: {error}") from error
        found = cls(authorities, _key(data, AUTHORITY_KEY), certificate, _key(data, KEY))
        found.check()
        return found

    def data(self) -> dict[str, bytes]:
        """All of it in PEM, under the names of the Secret's keys."""
        return {
            BUNDLE: self.bundle, AUTHORITY_KEY: _pem(self.authority_key), CERTIFICATE: self.certificate.public_bytes(Encoding.PEM),
            KEY: _pem(self.key),
        }  # fmt: skip

    @cached_property
    def bundle(self) -> bytes:
        """Whom a client should trust, in PEM."""
        return b"".join(authority.public_bytes(Encoding.PEM) for authority in self.authorities)

    @cached_property
    def chain(self) -> bytes:
        """What the server shows and proves, in PEM: the private key and the certificate."""
        return _pem(self.key) + self.certificate.public_bytes(Encoding.PEM)

    @property
    def newest(self) -> x509.Certificate:
        return self.authorities[0]

    @property
    def newest_signs(self) -> bool:
        """Whether the serving certificate is the newest authority's."""
        return issued_by(self.certificate, self.newest)

    def check(self) -> None:
        """Raises BrokenError when the parts do not belong together."""
        if self.authority_key.public_key() != self.newest.public_key():
            raise BrokenError(f"{AUTHORITY_KEY} is not the key of the first certificate of {BUNDLE}")
        if self.key.public_key() != self.certificate.public_key():
            raise BrokenError(f"{KEY} is not the key of {CERTIFICATE}")
        if not any(issued_by(self.certificate, authority) for authority in self.authorities):
            raise BrokenError(f"{CERTIFICATE} is signed by none of the authorities in {BUNDLE}")


def names_of(service: str, namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """The names of a Service, the shortest first."""
    return (service, f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.{cluster_domain}")


def made(names: Sequence[str], now: datetime, lifetimes: Lifetimes) -> Material:
    """An authority and a certificate that nobody knows yet."""
    authority, authority_key = _authority(names, now, lifetimes)
    return Material((authority,), authority_key, *_certificate(names, now, lifetimes, authority, authority_key))


def with_next_authority(material: Material, names: Sequence[str], now: datetime, lifetimes: Lifetimes) -> Material:
    """One more authority, that signs nothing yet."""
    authority, key = _authority(names, now, lifetimes)
    return replace(material, authorities=(authority, *material.authorities), authority_key=key)


def next_step(
    material: Material, names: Sequence[str], now: datetime, lifetimes: Lifetimes, *, published_for: timedelta | None
) -> tuple[Material, str]:
    """What the material should be now, and why in a few words; the same, and nothing, when nothing is due.

    ``published_for`` is how long kube-apiserver has been told to trust this bundle, None when it is not told so (yet).
    """
    if now >= material.newest.not_valid_after_utc:
        return made(names, now, lifetimes), "the authority has ended"
    newest_may_sign = material.newest_signs or (published_for is not None and published_for >= lifetimes.published_for)
    reason = _certificate_is_due(material, names, now, lifetimes)
    if reason and (newest_may_sign or now >= material.certificate.not_valid_after_utc):
        certificate = _certificate(names, now, lifetimes, material.newest, material.authority_key)
        return Material(material.authorities, material.authority_key, *certificate), reason
    if now >= material.newest.not_valid_after_utc - lifetimes.next_authority_before:
        return with_next_authority(material, names, now, lifetimes), "the authority ends before long"
    if len(material.authorities) > 1 and material.newest_signs and now >= _made_at(material.certificate) + lifetimes.old_authority_for:
        return replace(material, authorities=material.authorities[:1]), "the former authority signs nothing any more"
    return material, ""


def _certificate_is_due(material: Material, names: Sequence[str], now: datetime, lifetimes: Lifetimes) -> str:
    if not material.newest_signs:
        return "there is a newer authority"
    ends = material.certificate.not_valid_after_utc
    # none lives longer than its authority, so there an earlier end is no reason
    if now >= ends - lifetimes.next_certificate_before and ends < material.newest.not_valid_after_utc:
        return "the certificate ends before long"
    if set(names) != set(_names_in(material.certificate)):
        return "the Service has other names"
    return ""


def _authority(names: Sequence[str], now: datetime, lifetimes: Lifetimes) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    # one bundle may hold two of them, which people tell apart by their names; a name has 64 characters at most
    name = _name(f"{names[0][:40]}-ca-{now:%Y%m%d%H%M%S}")
    # strict clients want the key usage
    builder = (
        _builder(name, name, key, now, lifetimes.authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    return builder.sign(key, hashes.SHA256()), key


def _certificate(
    names: Sequence[str], now: datetime, lifetimes: Lifetimes, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(names[0]), authority.subject, key, now, min(lifetimes.certificate, authority.not_valid_after_utc - now))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    return builder.sign(authority_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=crl_sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _names_in(certificate: x509.Certificate) -> list[str]:
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return alternative.value.get_values_for_type(x509.DNSName)


def _made_at(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_before_utc + CLOCKS_DIFFER


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _key(data: Mapping[str, bytes], name: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(data[name], password=None)
    except (ValueError, TypeError) as error:
        raise BrokenError(f"{name} is no private key in PEM: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BrokenError(f"{name} is no key of an elliptic curve")
    return key
