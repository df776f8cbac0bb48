"""Pure: an authority, and the certificates that it signs. All keys are ECDSA on P-256: the cheapest handshake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from holdfast.topology.certificates import DUE, LASTS, Subject

AUTHORITY_LASTS = timedelta(days=3650)
EARLIER = timedelta(hours=1)
"""By which it begins before it is made: clocks differ."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both as PEM."""

    certificate: str
    key: str

    @property
    def parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.encode())

    @property
    def ends(self) -> datetime:
        return self.parsed.not_valid_after_utc


@dataclass(frozen=True)
class Authority:
    """Of an environment: who signs, and while another one takes its place, who will sign or has signed."""

    signer: Pair
    following: Pair | None = None
    last: str | None = None
    """The certificate of who signed before; empty where it is believed no more, and not every node knows yet."""

    @property
    def trusted(self) -> str:
        """The certificates of all whom to believe, as PEM."""
        following = self.following.certificate if self.following else ""
        return self.signer.certificate + following + (self.last or "")


def found(environment: str, now: datetime) -> Pair:
    """A new authority of an environment, which signs nothing but what ends a chain."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Holdfast {environment}")
    certificate = (
        _begun(name, name, key.public_key(), now, AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def issue(authority: Pair, subject: Subject, now: datetime, *, serves: bool = True, lasts: timedelta = LASTS) -> Pair:
    """A certificate of `subject`, as a client and, where it `serves`, as a server."""
    signing = serialization.load_pem_private_key(authority.key.encode(), password=None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if serves else [])]
    begun = (
        _begun(_name(subject.name), authority.parsed.subject, key.public_key(), now, min(lasts, authority.ends - now))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if serves:
        names = [*map(x509.DNSName, subject.dns), *map(x509.IPAddress, subject.addresses)]
        begun = begun.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _pair(begun.sign(signing, hashes.SHA256()), key)


def why_anew(pair: Pair, authority: Pair, subject: Subject, now: datetime) -> str | None:
    """Why a certificate must be made anew, in words; None where it need not."""
    certificate = pair.parsed
    try:
        certificate.verify_directly_issued_by(authority.parsed)
    except (ValueError, InvalidSignature):
        return "of another authority"
    # One that ends with its authority would end then again.
    if pair.ends - now < DUE and pair.ends < authority.ends:
        return f"ends on {pair.ends:%Y-%m-%d}"
    if _alternatives(certificate) != (set(subject.dns), set(subject.addresses)):
        return "for other names or addresses"
    return None


def _alternatives(certificate: x509.Certificate) -> tuple[set[str], set[IPv4Address]]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set(), set()
    addresses = {IPv4Address(str(address)) for address in names.get_values_for_type(x509.IPAddress)}
    return set(names.get_values_for_type(x509.DNSName)), addresses


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(certificate.public_bytes(encoding).decode(), private.decode())
