"""Who does not log in is ended where there are many, and nobody is disturbed where there are few."""

from holdfast_node.unauthenticated import Unauthenticated

END = ("CLIENT", "KILL", "USER", "default")


def test_where_few_are_connected_nobody_is_ended() -> None:
    assert Unauthenticated(1000).due(1000, now=50.0) == ()


def test_where_many_are_connected_who_has_not_logged_in_is_ended_every_ten_seconds() -> None:
    unauthenticated = Unauthenticated(1000)
    ended = [now for now in range(50, 75) if unauthenticated.due(1001, float(now)) == END]
    assert ended == [50, 60, 70]


def test_a_redis_that_fills_up_after_a_quiet_time_is_looked_at_at_once() -> None:
    unauthenticated = Unauthenticated(1000)
    assert [unauthenticated.due(clients, 50.0 + second) for second, clients in enumerate((900, 3000, 3000))] == [
        (),
        END,
        (),
    ]
