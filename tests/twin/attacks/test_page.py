"""A web page in a browser on this machine, at the twin that runs. In detail: unit/twin_api/test_strangers.py."""

import socket
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.topology import find_environment, load_environment

API = load_environment(find_environment("local")).api_endpoint or ""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RUN = b"Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=1&UserData=IyEvYmluL3No"


@pytest.mark.parametrize(
    ("method", "path", "headers", "because"),
    [
        ("POST", "/", FORM | {"Origin": "https://evil.example"}, "web pages are not served"),
        ("POST", "/", FORM | {"Origin": API}, "web pages are not served"),
        ("OPTIONS", "/", {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}, ""),
        ("POST", "/", FORM | {"Host": "evil.example:5599"}, "for the host evil.example:5599"),
        ("POST", "/", FORM, "MissingAuthenticationToken"),
        ("GET", "/?Action=DescribeInstances&Version=2016-11-15", {}, "MissingAuthenticationToken"),
        ("GET", "/moto-api/data.json", {}, ""),
        ("POST", "/moto-api/reset", FORM, ""),
    ],
    ids=["another origin", "its own origin", "preflight", "rebinding", "form", "image", "moto's data", "moto's reset"],
)
def test_a_page_is_refused_and_reads_nothing(
    cluster: Cluster, method: str, path: str, headers: dict[str, str], because: str
) -> None:
    before = cluster.instances()
    body = RUN if method == "POST" else None
    request = urllib.request.Request(API + path, data=body, headers=headers, method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5)
    assert refused.value.code == 403
    assert because in refused.value.read().decode()
    assert not [name for name in refused.value.headers if name.lower().startswith("access-control-")]
    assert cluster.instances() == before


def test_a_page_that_sends_a_form_to_a_loopback_port_commands_no_redis(cluster: Cluster) -> None:
    """Redis would take the lines of its body for commands, if it did not close at the first of the head."""
    address, _, port = cluster.endpoints()["leader"]["forward"].partition(":")
    body = b"\r\nPING\r\nINFO\r\n"
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    with closing(socket.create_connection((address, int(port)), 5)) as connection:
        connection.sendall(head + body)
        answer = b""
        try:
            while chunk := connection.recv(4096):
                answer += chunk
        except (ConnectionResetError, TimeoutError):
            pass
    assert [line for line in answer.splitlines() if not line.startswith(b"-")] == []
