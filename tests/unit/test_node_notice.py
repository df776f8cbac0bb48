"""What Sentinels claim and is not so is said once, and not as often as somebody forges it."""

import pytest
from holdfast_node.notice import Notice, claims

A = "10.40.0.4"


def test_each_claim_is_said_once_and_never_more_than_a_few_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    notice = Notice(lambda: now)

    def said(strangers: dict[str, frozenset[str]], epochs: dict[str, int]) -> list[str]:
        notice.look(claims(strangers, epochs))
        return capsys.readouterr().err.splitlines()

    ghost = {A: frozenset({"10.9.9.9:26379"})}
    assert said({}, {}) == []
    assert said(ghost, {A: 2**64 - 1}) == [
        "the Sentinel at 10.40.0.4 has the epoch 18446744073709551615, which no election gave it",
        "the Sentinel at 10.40.0.4 knows 10.9.9.9:26379, which is no node of this environment",
    ]
    assert said(ghost, {}) == []
    many = {A: frozenset(f"10.9.9.{number}:26379" for number in range(100))}
    assert said(many, {}) == []
    now = 10.0
    lines = said(many, {})
    assert len(lines) == 6
    assert lines[-1] == "and 94 more of that kind"
    now = 40.0
    assert said({}, {}) == []
    now = 65.0
    assert said(many, {}) == []
    now = 200.0
    assert said({}, {}) == []
    assert len(said(many, {})) == 6
