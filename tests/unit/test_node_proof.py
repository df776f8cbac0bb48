"""Who is proven to lead: by a majority that names it, or by the Sentinel that is just promoting it."""

from dataclasses import replace

from holdfast_node.proof import Announcement, announced, majority_of, named_by_majority, proven

A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"

PROMOTES_B = Announcement(sentinel=C, target=B, old=A, at=0.0)
PROMOTES_C = Announcement(sentinel=B, target=C, old=A, at=0.0)


def test_a_majority_is_of_all_sentinels_not_of_those_that_answer() -> None:
    assert [majority_of(count) for count in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]
    assert named_by_majority({A: A, B: A}, 3) == A
    assert named_by_majority({A: A}, 3) is None
    assert named_by_majority({A: A, B: A}, 5) is None
    assert named_by_majority({A: B, B: A}, 2) is None
    assert named_by_majority({}, 1) is None


def test_whom_an_elected_sentinel_promotes_is_proven_at_once_and_the_old_leader_no_more() -> None:
    assert proven({A: A, B: A, C: A}, 3, [PROMOTES_B]) == B


def test_the_word_of_that_sentinel_holds_until_a_majority_has_heard_of_it() -> None:
    # It names its choice itself before the others do.
    assert proven({A: A, B: A, C: B}, 3, [PROMOTES_B]) == B
    assert proven({A: A, B: B, C: B}, 3, [PROMOTES_B]) == B


def test_while_the_sentinel_that_promotes_is_silent_nobody_is_proven() -> None:
    # Whom it promoted may lead already, and have taken writes.
    assert proven({A: A, B: A}, 3, [PROMOTES_B]) is None
    assert proven({A: A}, 3, [PROMOTES_B]) is None
    assert proven({A: A, B: A, C: A}, 3, [replace(PROMOTES_B, held_up=True)]) is None


def test_a_sentinel_that_promotes_and_is_cut_off_from_the_others_proves_nobody() -> None:
    # They may elect another one, and it does not hear of that.
    assert proven({C: A}, 3, [PROMOTES_B]) is None
    assert proven({C: B}, 3, [PROMOTES_B]) is None
    assert announced([PROMOTES_B], {C: B}, 3) == frozenset()


def test_what_a_silent_sentinel_began_is_over_when_a_later_one_is_elected_or_a_majority_has_heard_of_it() -> None:
    later = Announcement(sentinel=A, target=C, old=A, at=1.0)
    assert proven({A: A, B: A}, 3, [PROMOTES_B, later]) == C
    assert proven({A: B, B: B}, 3, [PROMOTES_B]) == B


def test_two_promotions_at_the_same_time_prove_nobody() -> None:
    assert proven({A: A, B: A, C: A}, 3, [PROMOTES_B, PROMOTES_C]) is None


def test_a_promotion_in_place_of_somebody_else_is_an_old_one() -> None:
    # Meanwhile the leader is another one.
    assert proven({A: B, B: B, C: B}, 3, [Announcement(A, C, old=A, at=0.0)]) == B
