"""The second look: features with known answers, a fit that separates, a faithful round trip."""

import numpy as np
import pytest

from inference.body import Body, find_body
from inference.second_look import FEATURES, BodyFrame, SecondLook, candidate_features, fit

ONE_MM = (1.0, 1.0, 1.0)


def frame_of(shape):
    """A body that fills the volume and is deeper in the middle."""
    columns = np.minimum(np.arange(shape[2]) + 1, np.arange(shape[2])[::-1] + 1)
    depth = np.broadcast_to(columns.astype(np.float32), shape)
    return BodyFrame(Body(depth, (1, 1, 1), tuple(slice(0, n) for n in shape)), ONE_MM, ONE_MM)


def features_of_a_ball(around_hu, centre=(9.5, 9.5, 9.5), shape=(20, 20, 20)):
    z, y, x = (g - c for g, c in zip(np.indices(shape), centre, strict=True))
    ball = z**2 + y**2 + x**2 <= 25
    image = np.where(ball, 80.0, around_hu).astype(np.float32)
    probability = np.where(ball, 0.8, 0.1).astype(np.float32)
    box = tuple(slice(int(c - 4.5), int(c + 5.5)) for c in centre)
    labels = ball.astype(np.uint16)
    values = candidate_features(labels, 1, box, probability, image, frame_of(shape))
    assert set(values) == set(FEATURES)
    return values, int(ball.sum())


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


def test_a_ball_is_neither_long_nor_flat_and_its_mirror_image_in_the_middle_is_itself():
    values, _ = features_of_a_ball(-100)
    assert values["log_elongation"] == pytest.approx(0, abs=0.02)
    assert values["log_flatness"] == pytest.approx(0, abs=0.02)
    assert values["mirror_hu"] == pytest.approx(0)
    assert values["mirror_probability"] == pytest.approx(0.8)


def test_a_ball_beside_the_midline_has_fat_as_its_mirror_image():
    values, _ = features_of_a_ball(-100, centre=(9.5, 9.5, 9.5), shape=(20, 20, 60))
    assert values["mirror_hu"] == pytest.approx(-180)
    assert values["mirror_probability"] == pytest.approx(0.1)
    assert values["lateral"] == pytest.approx(20 / 30, abs=0.04)
    assert values["backward"] == pytest.approx(0.5, abs=0.03)
    assert values["depth_mm"] == pytest.approx(10, abs=1)


def test_the_place_in_the_body_does_not_depend_on_the_grid():
    image = np.full((40, 90, 120), -1000, np.int16)
    image[:, 15:75, 20:100] = 40
    fine = np.repeat(image, 2, axis=2)
    places = []
    for volume, spacing in ((image, ONE_MM), (fine, (1.0, 1.0, 0.5))):
        body = find_body(volume, spacing)
        frame = BodyFrame(body, spacing, ONE_MM)
        start = [part.start * s for part, s in zip(body.box, spacing, strict=True)]
        places.append(frame.place([20 - start[0], 40 - start[1], 80 - start[2]]))
    for name in FEATURES:
        if name in places[0]:
            assert places[0][name] == pytest.approx(places[1][name], abs=0.08 * 15)
    assert places[0]["lateral"] == pytest.approx(places[1]["lateral"], abs=0.06)


def named(row):
    return dict(zip(FEATURES, row, strict=True))


@pytest.fixture
def look():
    rng = np.random.default_rng(2)
    is_node = rng.random(400) < 0.3
    features = rng.normal(size=(400, len(FEATURES)))
    features[:, 2] += 2.5 * is_node
    return fit(features, is_node), features, is_node


def test_the_fit_scores_nodes_higher_and_is_calibrated_on_average(look):
    fitted, features, is_node = look
    scores = np.array([fitted.score(named(row)) for row in features])
    assert scores[is_node].mean() > scores[~is_node].mean() + 0.4
    assert scores.mean() == pytest.approx(is_node.mean(), abs=0.01)
    assert np.argmax(np.abs(fitted.weights)) == 2


def test_it_comes_back_from_json_as_it_was(look):
    fitted, features, _ = look
    again = SecondLook.from_json(fitted.to_json())
    assert again.score(named(features[0])) == pytest.approx(
        fitted.score(named(features[0])), abs=1e-4
    )


def test_features_this_code_does_not_measure_are_refused(look):
    content = look[0].to_json() | {"features": ["shoe_size"]}
    with pytest.raises(ValueError, match="Install the model"):
        SecondLook.from_json(content)


def test_a_second_look_without_squares_or_with_fewer_features_still_works(look):
    content = look[0].to_json()
    del content["squares"]
    for name in ("features", "centre", "scale", "weights"):
        content[name] = content[name][:9]
    assert 0 < SecondLook.from_json(content).score(named(look[1][0])) < 1
