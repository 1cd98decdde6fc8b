"""The Python client over TLS: a certificate that holds is needed before anything is said."""

import ipaddress
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent_live_monitoring import Client, Problem
from tests.lane_double import LaneDouble, Told

MakeClient = Callable[..., Client]
EVENT = {"signal": "agent_error", "agent_name": "Bot", "room_id": "r-7", "error": {"type": "Timeout"}}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(secret + made.public_bytes(encoding))
    return path


@pytest.fixture
def double(certificate: Path) -> Iterator[LaneDouble]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made = LaneDouble(tls=context)
    yield made
    made.stop()


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def test_reports_arrive_over_one_connection(trusted: None, double: LaneDouble, make_client: MakeClient) -> None:
    client = make_client(double.url)
    for number in range(300):
        client.report_failure(**EVENT, event_id=f"e-{number}", last_customer_text="x" * 1_000)
    assert client.flush(20) == (300, 0, 0, 0)
    assert len(double.items()) == 300


def test_a_dripping_answer_is_cut_off_at_the_deadline(
    trusted: None, double: LaneDouble, make_client: MakeClient
) -> None:
    client = make_client(double.url, timeout=1.0)
    double.scripted = [Told(207, drip=0.2)]
    client.report_failure(**EVENT)
    assert client.flush(20).delivered == 1


def test_a_certificate_that_does_not_hold_is_told_nothing(double: LaneDouble, make_client: MakeClient) -> None:
    problems: list[Problem] = []
    client = make_client(double.url, on_error=problems.append)
    client.report_failure(**EVENT)
    assert client.flush(1).waiting == 1
    assert double.requests == []
    assert [(problem.code, "SSL" in problem.message) for problem in problems] == [("unreachable", True)]
