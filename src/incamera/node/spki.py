# SPDX-License-Identifier: Apache-2.0
"""What is the pin of a certificate (spec/relay.md, section 2)?"""

from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import serialization


def spki_pin(certificate: bytes) -> bytes:
    """Return SHA-256 of the SubjectPublicKeyInfo of a certificate in DER.

    Raises ValueError for anything else.
    """
    public = x509.load_der_x509_certificate(certificate).public_key()
    return sha256(
        public.public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
    ).digest()
