"""The serving certificate and its authority: what they are, and what comes of them as time goes by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from kayan_operator.metrics_api.certificates import (
    AUTHORITY_KEY,
    BUNDLE,
    CERTIFICATE,
    KEY,
    BrokenError,
    Lifetimes,
    Material,
    made,
    names_of,
    next_step,
    with_next_authority,
)
from unit.operator.metrics_api.conftest import Clock

NAMES = names_of("kayan-metrics", "kayan", "cluster.local")
LIFETIMES = Lifetimes()
LONG = timedelta(hours=1)


def step(material: Material, clock: Clock, published_for: timedelta | None = LONG, names: tuple[str, ...] = NAMES) -> tuple[Material, str]:
    return next_step(material, names, clock(), LIFETIMES, published_for=published_for)


def test_the_certificate_is_for_all_names_of_the_service_and_for_serving_only(clock: Clock) -> None:
    extensions = made(NAMES, clock(), LIFETIMES).certificate.extensions

    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert names == ["kayan-metrics", "kayan-metrics.kayan", "kayan-metrics.kayan.svc", "kayan-metrics.kayan.svc.cluster.local"]
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_the_authority_may_sign_certificates_and_no_other_authorities(clock: Clock) -> None:
    extensions = made(NAMES, clock(), LIFETIMES).newest.extensions

    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)


def test_they_are_of_p256_and_valid_at_once_also_where_clocks_are_behind(clock: Clock) -> None:
    material = made(NAMES, clock(), LIFETIMES)

    for certificate, days in ((material.newest, 3650), (material.certificate, 90)):
        assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
        assert certificate.not_valid_before_utc == clock() - timedelta(minutes=5)
        assert certificate.not_valid_after_utc == clock() + timedelta(days=days)


def test_the_longest_names_fit(clock: Clock) -> None:
    names = names_of("s" * 63, "n" * 63, "cluster.example.com")

    material = made(names, clock(), LIFETIMES)

    assert step(material, clock, names=names) == (material, "")


def test_what_is_stored_is_found_again(clock: Clock) -> None:
    material = with_next_authority(made(NAMES, clock(), LIFETIMES), NAMES, clock(), LIFETIMES)

    found = Material.parse(material.data())

    assert found.data() == material.data()
    assert step(found, clock, None) == (found, "")


def _other(field: str) -> Callable[[Material, Material], dict[str, bytes]]:
    return lambda mine, others: mine.data() | {field: others.data()[field]}


def _rsa_key() -> bytes:
    return rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda mine, _: {}, "ca.crt, ca.key, tls.crt, tls.key missing"),
        (lambda mine, _: mine.data() | {KEY: b""}, "tls.key missing"),
        (lambda mine, _: mine.data() | {BUNDLE: b"none"}, "a certificate is not PEM"),
        (lambda mine, _: mine.data() | {CERTIFICATE: mine.data()[CERTIFICATE][:200]}, "a certificate is not PEM"),
        (lambda mine, _: mine.data() | {KEY: b"none"}, "tls.key is no private key in PEM"),
        (lambda mine, _: mine.data() | {AUTHORITY_KEY: _rsa_key()}, "ca.key is no key of an elliptic curve"),
        (_other(AUTHORITY_KEY), "ca.key is not the key of the first certificate of ca.crt"),
        (_other(KEY), "tls.key is not the key of tls.crt"),
        (
            lambda mine, others: mine.data() | {CERTIFICATE: others.data()[CERTIFICATE], KEY: others.data()[KEY]},
            "tls.crt is signed by none of the authorities in ca.crt",
        ),
    ],
)
def test_contents_that_do_not_belong_together_say_why(
    clock: Clock, broken: Callable[[Material, Material], dict[str, bytes]], says: str
) -> None:
    mine, others = made(NAMES, clock(), LIFETIMES), made(NAMES, clock(), LIFETIMES)

    with pytest.raises(BrokenError, match=says):
        Material.parse(broken(mine, others))


# -- as time goes by -------------------------------------------------------------------------------------------------------------


def test_a_certificate_is_renewed_thirty_days_before_it_ends_by_the_same_authority(clock: Clock) -> None:
    first = made(NAMES, clock(), LIFETIMES)
    clock.advance(days=60, seconds=-1)
    assert step(first, clock) == (first, "")

    clock.advance(seconds=1)
    renewed, reason = step(first, clock, None)

    assert reason == "the certificate ends before long"
    assert renewed.bundle == first.bundle
    assert renewed.certificate.not_valid_after_utc == clock() + timedelta(days=90)
    assert renewed.key.public_key() != first.key.public_key()
    assert step(renewed, clock) == (renewed, "")


def test_other_names_of_the_service_make_another_certificate(clock: Clock) -> None:
    first = made(NAMES, clock(), LIFETIMES)

    other, reason = step(first, clock, names=names_of("kayan-metrics", "kayan", "example.org"))

    assert reason == "the Service has other names"
    assert other.bundle == first.bundle


def test_an_authority_gives_way_to_the_next_in_three_steps(clock: Clock) -> None:
    first = made(NAMES, clock(), LIFETIMES)
    clock.advance(days=3650 - 365 - 1)
    first, _ = step(first, clock)
    assert step(first, clock) == (first, "")
    clock.advance(days=1)

    # 1: both are to be trusted, the first still signs
    both, reason = step(first, clock)
    assert reason == "the authority ends before long", "a year before"
    assert not both.newest_signs
    assert both.bundle.endswith(both.authorities[1].public_bytes(Encoding.PEM))
    assert step(both, clock, None) == (both, ""), "nobody trusts the new one yet"
    assert step(both, clock, timedelta(minutes=4)) == (both, ""), "not everybody does"

    # 2: the new one signs
    signed, reason = step(both, clock, timedelta(minutes=5))
    assert reason == "there is a newer authority"
    assert (signed.newest_signs, signed.bundle) == (True, both.bundle)
    clock.advance(minutes=59)
    assert step(signed, clock) == (signed, ""), "a replica may still show the former certificate"

    # 3: the former one is trusted no more
    clock.advance(minutes=1)
    alone, reason = step(signed, clock)
    assert reason == "the former authority signs nothing any more"
    assert alone.authorities == signed.authorities[:1]
    assert step(alone, clock) == (alone, "")
    clock.advance(days=59)
    assert step(alone, clock) == (alone, "")


def test_a_renewal_that_falls_due_meanwhile_waits_for_the_new_authority(clock: Clock) -> None:
    both = with_next_authority(made(NAMES, clock(), LIFETIMES), NAMES, clock(), LIFETIMES)
    clock.advance(days=89)
    assert step(both, clock, None) == (both, "")

    clock.advance(days=1)
    signed, reason = step(both, clock, None)

    assert (reason, signed.newest_signs) == ("there is a newer authority", True), "an ended certificate helps nobody"


@pytest.mark.parametrize("days", [3650 - 365, 3650 - 20])
def test_who_was_away_for_long_renews_first_what_clients_trust_already(clock: Clock, days: int) -> None:
    first = made(NAMES, clock(), LIFETIMES)
    clock.advance(days=days)

    renewed, _ = step(first, clock, None)
    both, reason = step(renewed, clock, None)

    assert renewed.bundle == first.bundle
    assert clock() < renewed.certificate.not_valid_after_utc <= first.newest.not_valid_after_utc
    assert (reason, both.chain) == ("the authority ends before long", renewed.chain)
    assert step(both, clock, None) == (both, "")


def test_an_authority_that_has_ended_begins_anew(clock: Clock) -> None:
    first = made(NAMES, clock(), LIFETIMES)
    clock.advance(days=3650)

    anew, reason = step(first, clock)

    assert reason == "the authority has ended"
    assert anew.newest != first.newest
    assert step(anew, clock) == (anew, "")


def test_years_go_by_and_there_is_never_a_moment_without_trust(clock: Clock) -> None:
    """Looked at every third day, a client that has the bundle of the last time verifies the certificate of today."""
    material = made(NAMES, clock(), LIFETIMES)
    known, authorities = material.authorities, {material.newest.serial_number}
    for _ in range(122 * 12):
        clock.advance(days=3)
        material, _ = step(material, clock, timedelta(days=3) if known == material.authorities else None)
        assert any(authority.subject == material.certificate.issuer for authority in known)
        material.check()
        assert material.certificate.not_valid_before_utc <= clock() < material.certificate.not_valid_after_utc
        assert all(clock() < authority.not_valid_after_utc for authority in material.authorities)
        known = material.authorities
        authorities.add(material.newest.serial_number)
    assert len(authorities) == 2


@pytest.mark.parametrize("field", ["authority", "certificate"])
def test_lifetimes_that_would_renew_for_ever_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match="for ever"):
        Lifetimes(**{field: timedelta(days=1)})
