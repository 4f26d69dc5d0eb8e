# SPDX-License-Identifier: Apache-2.0
"""By which key is the gateway known (spec/relay.md, section 2)?

Made on the first start, kept in the gateway's home: `tls.key` and `tls.pem` (a
self-signed certificate, unless the owner puts its own there).  The pin in links is
SHA-256 of the certificate's SubjectPublicKeyInfo, so a renewed certificate with the
same key keeps every link valid.
"""

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from incamera.node.files import replace
from incamera.node.spki import spki_pin

_NAME: Final = "incamera gateway"
_LIFE: Final = dt.timedelta(days=3650)
"""The pin, not the date, says whether the key is still good."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Certificate chain and key in PEM, and the pin of the leaf's key."""

    certificate: Path
    key: Path
    pin: bytes


def open_tls(home: Path) -> TlsFiles:
    """Return the TLS files of `home`, made now if there are none."""
    key, certificate = home / "tls.key", home / "tls.pem"
    if not key.exists():
        _create(key, certificate)
    leaf = ssl.PEM_cert_to_DER_cert(_first_certificate(certificate.read_text("ascii")))
    return TlsFiles(certificate, key, spki_pin(leaf))


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that speaks TLS 1.3 only, without session tickets.

    A ticket would let a client resume without showing it the certificate again.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.load_cert_chain(files.certificate, files.key)
    return context


def _first_certificate(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    return pem.partition(end)[0] + end + "\n"


def _create(key_path: Path, certificate_path: Path) -> None:
    # P-256: Ed25519 certificates are refused by browsers and by many TLS libraries.
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    # The key comes last: a start that was cut short makes both again.
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    replace(certificate_path, pem)
    replace(key_path, _private_pem(key))


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
