"""What a newer proposal says otherwise, from label maps alone."""

from __future__ import annotations

import numpy as np

from backend.reading.newer_proposal import Difference, Part, differences_of
from tests.reading.site import SHAPE, ai_volume


def differences(
    head: np.ndarray, proposed: np.ndarray, refused: set[int] | None = None
) -> list[Difference]:
    return differences_of(head, proposed, ai_volume(), refused=refused or set(), from_ai={1, 2, 3})


def test_a_proposal_like_the_earlier_one_is_no_news_whatever_the_reader_made_of_it() -> None:
    head = ai_volume()
    head[2:4][head[2:4] == 1] = 0
    head[head == 2] = 0
    assert differences(head, ai_volume()) == []


def test_a_node_more_is_new_a_node_less_is_gone_and_one_of_another_shape_is_changed() -> None:
    proposed = ai_volume()
    proposed[proposed == 1] = 0
    proposed[6, 14:20, 14:20] = 0
    proposed[1:3, 18:22, 2:6] = 4
    found = {one.kind: one for one in differences(ai_volume(), proposed)}
    assert found["gone"] == Difference("gone", (), (1,), 0.0)
    assert found["new"] == Difference("new", (Part(4, None),), (), 0.0)
    # Two slices of the three that the reader has: 2 · 72 / (108 + 72).
    assert found["changed"] == Difference("changed", (Part(3, 3),), (3,), 0.8)
    assert len(found) == 3


def test_what_the_reader_refused_is_not_offered_again_nor_is_what_they_added_gone() -> None:
    head = ai_volume()
    head[1:3, 18:22, 2:6] = 4
    proposed = ai_volume()
    proposed[2, 3:8, 3:9] = 0
    assert differences(head, proposed, refused={1}) == []


def test_what_the_reader_has_drawn_alike_already_is_not_offered() -> None:
    proposed = ai_volume()
    proposed[1:3, 18:22, 2:6] = 9
    head = ai_volume()
    head[1:3, 18:22, 2:6] = 4
    assert differences(head, proposed) == []


def test_two_nodes_that_became_one_are_taken_as_one() -> None:
    proposed = np.zeros(SHAPE, np.uint16)
    head = np.zeros(SHAPE, np.uint16)
    head[4:8, 4:8, 4:8], head[4:8, 4:8, 9:12] = 1, 2
    proposed[4:8, 4:8, 4:12] = 7
    (found,) = differences_of(head, proposed, np.zeros_like(head), refused=set(), from_ai={1, 2})
    assert (found.kind, found.parts, found.present) == ("changed", (Part(7, 1),), (1, 2))
    assert found.dice == 2 * 112 / (112 + 128)
