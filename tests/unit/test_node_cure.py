"""All Sentinels are restarted together by one node, when what they believe does not mend by itself."""

from __future__ import annotations

from holdfast_node.cure import Cure

A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"


class Nodes:
    """A restart heals all Sentinels at once, unless they are poisoned again."""

    def __init__(self, *there: str) -> None:
        self.now, self.poisoned, self.again = 0.0, True, False
        self.answering = {A, B, C}
        self.restarts: list[tuple[str, float]] = []
        self.cures = {
            me: Cure(me, (A, B, C), lambda me=me: self.restart(me), lambda: self.now)  # type: ignore[misc]
            for me in there
        }

    def restart(self, by: str) -> None:
        self.restarts.append((by, self.now))
        self.poisoned = self.again

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            for cure in self.cures.values():
                cure.look(poisoned=self.poisoned, answering=self.answering)
            self.now += 1


def test_one_node_restarts_them_all_once() -> None:
    nodes = Nodes(A, B, C)
    nodes.run(100)
    assert nodes.restarts == [(A, 3.0)]


def test_what_mends_by_itself_restarts_nobody() -> None:
    nodes = Nodes(A, B, C)
    nodes.run(3)
    nodes.poisoned = False
    nodes.run(100)
    assert nodes.restarts == []


def test_the_next_one_does_it_at_once_where_the_first_is_away() -> None:
    """A leader's replicas are too old to be promoted soon after it is lost."""
    nodes = Nodes(B, C)
    nodes.answering = {B, C}
    nodes.run(100)
    assert nodes.restarts == [(B, 3.0)]


def test_the_next_one_does_it_where_the_first_has_not_in_time() -> None:
    nodes = Nodes(B, C)
    nodes.run(100)
    assert nodes.restarts == [(B, 8.0)]


def test_who_is_poisoned_again_and_again_is_restarted_once_a_minute_by_each_at_most() -> None:
    nodes = Nodes(A)
    nodes.again = True
    nodes.run(130)
    assert nodes.restarts == [(A, 3.0), (A, 63.0), (A, 123.0)]


def test_a_machine_without_a_sentinel_leaves_it_to_those_that_have_one() -> None:
    nodes = Nodes("10.40.0.9")
    nodes.run(100)
    assert nodes.restarts == []
