"""Phantoms made side by side are those made one after another."""

import pytest

from fixtures.phantom import drawn_settings
from inference.side_by_side import side_by_side


@pytest.mark.parametrize("count", [0, 1, 5])
def test_each_seed_has_its_own_in_the_order_they_were_asked_for(count):
    seeds = list(range(7, 7 + count))
    assert list(side_by_side(drawn_settings, seeds)) == [drawn_settings(s) for s in seeds]
