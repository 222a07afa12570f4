"""Certificates and keys for a trial on one machine; a real one has its own authority.

The same by hand is in ``docs/deploy.md``.
"""

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAYS = 30
"""How long the certificates are valid."""


def authority(folder: Path) -> None:
    """``ca.crt`` and ``ca.key``, if they are not there yet."""
    if (folder / "ca.crt").exists():
        return
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Trial authority")])
    certificate = (
        builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    write_private(folder / "ca.key", key)
    write_certificate(folder / "ca.crt", certificate)


def server_certificate(folder: Path, address: str) -> None:
    """``server.crt`` and ``server.key`` for an IP address, signed by the authority."""
    if (folder / "server.crt").exists():
        return
    issuer = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"ca.key needs to be an elliptic curve key, got {type(signer)}")
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    names = [x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName("localhost")]
    certificate = (
        builder(name, issuer.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )
    write_private(folder / "server.key", key)
    write_certificate(folder / "server.crt", certificate)


def node_key(folder: Path, name: str) -> Path:
    """``NAME.key`` for a SuperNode and ``NAME.pub`` for the SuperLink; the public one.

    As ``ssh-keygen -t ecdsa -b 384`` makes them.
    """
    public = folder / f"{name}.pub"
    if not public.exists():
        key = ec.generate_private_key(ec.SECP384R1())
        write_private(folder / f"{name}.key", key, serialization.PrivateFormat.OpenSSH)
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
            )
        )
    return public


def builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """What all certificates have in common."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
    )


def write_private(
    path: Path,
    key: ec.EllipticCurvePrivateKey,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
) -> None:
    """A private key that only its owner can read, from its first byte on."""
    content = key.private_bytes(
        serialization.Encoding.PEM,
        form,
        serialization.NoEncryption(),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    """A certificate in PEM."""
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
