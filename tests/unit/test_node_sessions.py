"""Sessions end when an operator orders it, and the answer says how many, or why not."""

import dataclasses

from holdfast_node import resp, sessions
from holdfast_node.identity import Identity

from tests.unit.test_node_renewal import Server

ORDER = {"id": "7", "node": "local-a1", "what": "sessions", "users": "app,reports"}
LOGIN = resp.Credentials("node", "secret")


def test_all_sessions_of_these_users_end(identity: Identity) -> None:
    redis = Server(CLIENT_KILL_USER=b":2\r\n")
    here = dataclasses.replace(identity, address="127.0.0.1", redis_port=redis.port)
    assert sessions.end(here, LOGIN, ORDER) == {"id": "7", "done": True, "says": "ended 4 sessions of app, reports"}
    assert redis.told == [
        ("AUTH", "node", "secret"),
        ("CLIENT", "KILL", "USER", "app", "SKIPME", "yes"),
        ("CLIENT", "KILL", "USER", "reports", "SKIPME", "yes"),
    ]


def test_a_redis_that_refuses_is_said(identity: Identity) -> None:
    redis = Server(CLIENT_KILL_USER=b"-ERR No such user 'app'\r\n")
    here = dataclasses.replace(identity, address="127.0.0.1", redis_port=redis.port)
    said = "cannot end the sessions of app, reports: ERR No such user 'app'"
    assert sessions.end(here, LOGIN, ORDER) == {"id": "7", "done": False, "says": said}
