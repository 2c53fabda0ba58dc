"""The second look: features with known answers, a fit that separates, a faithful round trip."""

import numpy as np
import pytest

from inference.second_look import FEATURES, SecondLook, candidate_features, fit


def features_of_a_ball(around_hu):
    z, y, x = np.mgrid[0:20, 0:20, 0:20] - 9.5
    ball = z**2 + y**2 + x**2 <= 25
    image = np.where(ball, 80.0, around_hu).astype(np.float32)
    probability = np.where(ball, 0.8, 0.1).astype(np.float32)
    box = (slice(5, 15),) * 3
    values = candidate_features(ball.astype(np.uint16), 1, box, probability, image)
    return dict(zip(FEATURES, values, strict=True)), int(ball.sum())


def test_a_ball_in_fat_is_surrounded_by_fat_and_compact():
    values, voxels = features_of_a_ball(-100)
    assert values["fat_around"] == 1
    assert values["bright_around"] == 0
    assert np.exp(values["log_volume"]) == pytest.approx(voxels)
    assert np.exp(values["log_inscribed"]) == pytest.approx(10, abs=1.5)
    assert values["mean_hu"] == pytest.approx(80)
    assert values["mean_logit"] == values["highest_logit"] == pytest.approx(np.log(4), abs=1e-5)


def test_a_ball_in_enhanced_vessel_is_surrounded_by_bright_voxels():
    values, _ = features_of_a_ball(200)
    assert values["fat_around"] == 0
    assert values["bright_around"] == 1


@pytest.fixture
def look():
    rng = np.random.default_rng(2)
    is_node = rng.random(400) < 0.3
    features = rng.normal(size=(400, len(FEATURES)))
    features[:, 2] += 2.5 * is_node
    return fit(features, is_node), features, is_node


def test_the_fit_scores_nodes_higher_and_is_calibrated_on_average(look):
    fitted, features, is_node = look
    scores = np.array([fitted.score(row) for row in features])
    assert scores[is_node].mean() > scores[~is_node].mean() + 0.4
    assert scores.mean() == pytest.approx(is_node.mean(), abs=0.01)
    assert np.argmax(np.abs(fitted.weights)) == 2


def test_it_comes_back_from_json_as_it_was(look):
    fitted, features, _ = look
    again = SecondLook.from_json(fitted.to_json())
    assert again.score(features[0]) == pytest.approx(fitted.score(features[0]), abs=1e-4)


def test_features_this_code_does_not_measure_are_refused(look):
    content = look[0].to_json() | {"features": ["shoe_size"]}
    with pytest.raises(ValueError, match="Install the model"):
        SecondLook.from_json(content)
