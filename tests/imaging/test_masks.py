"""Manifests, patches and the container: one contract for browser, server and worker."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backend.imaging.masks import (
    DamagedMask,
    InvalidManifest,
    InvalidPatch,
    Labels,
    Manifest,
    PackedMask,
    apply_patch,
    decode_slice,
    diff_patch,
    effective,
    encode_slice,
    pack_mask,
    parse_patch,
    slice_hash,
    unpack_mask,
    volume_of,
)
from tests.examples import examples

GEOMETRY = "ab" * 32
SHAPE = (4, 5, 6)


def node(number: int) -> str:
    return str(UUID(int=number))


def volumes() -> st.SearchStrategy[Labels]:
    return hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 3), fill=st.just(0))


def manifest_of(volume: Labels, count: int = 3) -> Manifest:
    return Manifest.of_volume(volume, GEOMETRY, {n: node(n) for n in range(1, count + 1)})


def test_the_canonical_bytes_are_exactly_the_contract() -> None:
    manifest = Manifest(
        GEOMETRY, {7: "cd" * 32, 2: "ef" * 32}, {2: node(2), 1: node(10)}, ("01" * 32,)
    )
    expected = (
        '{"geometry":"' + "ab" * 32 + '",'
        '"labels":[[1,"00000000-0000-0000-0000-00000000000a"],'
        '[2,"00000000-0000-0000-0000-000000000002"]],'
        '"parents":["' + "01" * 32 + '"],'
        '"slices":[[2,"' + "ef" * 32 + '"],[7,"' + "cd" * 32 + '"]],"version":1}'
    ).encode("ascii")
    assert manifest.canonical_bytes() == expected
    assert manifest.hash == hashlib.sha256(expected).hexdigest()
    assert Manifest.from_bytes(expected) == manifest


def test_the_empty_manifest_has_a_known_hash() -> None:
    manifest = Manifest("0" * 64, {}, {})
    text = '{"geometry":"' + "0" * 64 + '","labels":[],"parents":[],"slices":[],"version":1}'
    assert manifest.canonical_bytes() == text.encode()
    assert manifest.hash == "637f7c0128da23c95ebbd1f520765bc4d52f071e839dab28bdad253cee08fdd1"


def test_a_slice_blob_is_little_endian_row_major_and_named_before_compression() -> None:
    plane = np.array([[1, 256], [0, 65535]], np.uint16)
    raw = bytes([1, 0, 0, 1, 0, 0, 255, 255])
    digest, compressed = encode_slice(plane)
    assert digest == hashlib.sha256(raw).hexdigest() == slice_hash(plane)
    assert np.array_equal(decode_slice(compressed, (2, 2), digest), plane)
    turned = np.asfortranarray(plane)
    assert slice_hash(turned) == digest


def test_a_slice_of_the_wrong_size_hash_or_type_is_refused() -> None:
    plane = np.ones((3, 4), np.uint16)
    digest, compressed = encode_slice(plane)
    with pytest.raises(DamagedMask, match="other than"):
        decode_slice(compressed, (3, 3), digest)
    with pytest.raises(DamagedMask, match="other than"):
        decode_slice(compressed, (4, 4), digest)
    with pytest.raises(DamagedMask, match="not the one named"):
        decode_slice(compressed, (3, 4), "0" * 64)
    with pytest.raises(DamagedMask, match="decompressed"):
        decode_slice(b"not zstd at all", (3, 4))
    with pytest.raises(TypeError, match="uint16"):
        slice_hash(plane.astype(np.uint8))  # type: ignore[arg-type]


def test_a_small_blob_cannot_unfold_into_memory_without_end() -> None:
    _, bomb = encode_slice(np.zeros((4096, 4096), np.uint16))
    with pytest.raises(DamagedMask, match="other than 18 bytes"):
        decode_slice(bomb, (3, 3))


@pytest.mark.parametrize(
    "change",
    [
        {"geometry_hash": "AB" * 32},
        {"slices": {0: "short"}},
        {"slices": {-1: "cd" * 32}},
        {"labels": {0: node(1)}},
        {"labels": {65536: node(1)}},
        {"labels": {1: "not a uuid"}},
        {"labels": {1: node(1), 2: node(1)}},
        {"parents": ("x",)},
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match="Read the mask again"):
        Manifest(**({"geometry_hash": GEOMETRY, "slices": {}, "labels": {}} | change))


def test_only_the_canonical_spelling_of_a_manifest_is_read() -> None:
    manifest = manifest_of(np.ones(SHAPE, np.uint16))
    spaced = json.dumps(json.loads(manifest.canonical_bytes())).encode()
    with pytest.raises(InvalidManifest, match="canonical"):
        Manifest.from_bytes(spaced)
    with pytest.raises(InvalidManifest, match="cannot be read"):
        Manifest.from_bytes(b'{"geometry":1}')


@given(volumes(), volumes())
def test_the_hash_changes_exactly_when_the_content_changes(one: Labels, other: Labels) -> None:
    assert (manifest_of(one).hash == manifest_of(other).hash) == np.array_equal(one, other)


@given(volumes(), st.integers(1, 3), st.integers(1, 3))
def test_the_hash_depends_on_the_nodes_too(volume: Labels, one: int, other: int) -> None:
    assume(one != other)
    assert manifest_of(volume, one).hash != manifest_of(volume, other).hash


def patched(volume: Labels, manifest: Manifest, patch: Any) -> tuple[Manifest, Labels]:
    after, changed = apply_patch(manifest, lambda index: volume[index], patch)
    result = volume.copy()
    for index, plane in changed.items():
        result[index] = plane
    return after, result


def test_a_patch_writes_absolute_labels_inside_its_box() -> None:
    volume = np.zeros(SHAPE, np.uint16)
    volume[1, 1:4, 1:4] = 1
    manifest = manifest_of(volume, 2)
    data = {
        "nodes": [node(50), node(1)],
        "slices": [{"index": 1, "box": [1, 1, 3, 4], "runs": [[0, 2, 1], [3, 1, 0], [4, 2, 2]]}],
    }
    after, result = patched(volume, manifest, parse_patch(json.dumps(data), SHAPE))
    assert result[1].tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 3, 3, 1, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    assert after.labels == {1: node(1), 2: node(2), 3: node(50)}
    assert after.parents == (manifest.hash,)
    assert after.slices == {1: slice_hash(result[1])}


def test_new_nodes_are_numbered_after_the_largest_ever_in_the_order_named() -> None:
    manifest = Manifest(GEOMETRY, {}, {4: node(4), 9: node(9)})
    patch = parse_patch({"nodes": [node(30), node(4), node(20)], "slices": []}, SHAPE)
    after, changed = apply_patch(manifest, lambda index: np.zeros(SHAPE[1:], np.uint16), patch)
    assert after.labels == {4: node(4), 9: node(9), 10: node(30), 11: node(20)}
    assert changed == {}


def test_a_slice_that_becomes_empty_leaves_the_manifest() -> None:
    volume = np.zeros(SHAPE, np.uint16)
    volume[2, 0, 0] = 1
    patch = parse_patch(
        {"nodes": [], "slices": [{"index": 2, "box": [0, 0, 1, 1], "runs": [[0, 1, 0]]}]}, SHAPE
    )
    after, changed = apply_patch(manifest_of(volume), lambda index: volume[index], patch)
    assert after.slices == {}
    assert not changed[2].any()


def test_label_numbers_can_run_out_and_say_so() -> None:
    manifest = Manifest(GEOMETRY, {}, {65535: node(1)})
    patch = parse_patch({"nodes": [node(2)], "slices": []}, SHAPE)
    with pytest.raises(InvalidPatch, match="65535"):
        apply_patch(manifest, lambda index: np.zeros(SHAPE[1:], np.uint16), patch)


@given(volumes(), volumes())
def test_the_difference_of_two_masks_turns_one_into_the_other(old: Labels, new: Labels) -> None:
    labels = {n: node(n) for n in range(1, 4)}
    patch = parse_patch(json.dumps(diff_patch(old, new, labels).to_json()), SHAPE)
    after, result = patched(old, manifest_of(old), patch)
    assert np.array_equal(result, new)
    assert after.slices == manifest_of(new).slices


@given(volumes(), volumes())
def test_applying_a_patch_twice_is_applying_it_once(old: Labels, new: Labels) -> None:
    patch = diff_patch(old, new, {n: node(n) for n in range(1, 4)})
    once, result = patched(old, manifest_of(old), patch)
    twice, again = patched(result, once, patch)
    assert np.array_equal(result, again)
    assert (twice.slices, twice.labels) == (once.slices, once.labels)


def test_new_nodes_of_a_difference_keep_their_numbers() -> None:
    old = np.zeros(SHAPE, np.uint16)
    old[0, 0, :4] = 1
    new = old.copy()
    new[0, 0, 2:4] = 2
    new[3, 4, 5] = 3
    labels = {1: node(1), 2: node(77), 3: node(66)}
    after, result = patched(old, manifest_of(old, 1), diff_patch(old, new, labels))
    assert np.array_equal(result, new)
    assert after.labels == labels


def test_a_difference_needs_a_node_for_every_label_and_one_shape() -> None:
    old, new = np.zeros(SHAPE, np.uint16), np.full(SHAPE, 5, np.uint16)
    with pytest.raises(InvalidPatch, match=r"\[5\]"):
        diff_patch(old, new, {})
    with pytest.raises(InvalidPatch, match="shapes"):
        diff_patch(old, new[:2], {})


GOOD = {"index": 0, "box": [0, 0, 2, 3], "runs": [[0, 2, 1], [2, 4, 0]]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": 4}, "0…3"),
        ({"index": -1}, "0…3"),
        ({"index": True}, "0…3"),
        ({"index": 1.0}, "0…3"),
        ({"box": [0, 0, 0, 3]}, "empty or outside"),
        ({"box": [0, 0, 6, 3]}, "empty or outside"),
        ({"box": [0, 4, 2, 7]}, "empty or outside"),
        ({"box": [-1, 0, 2, 3]}, "empty or outside"),
        ({"box": [0, 0, 2]}, "4 whole numbers"),
        ({"box": [0, 0, 2, "3"]}, "4 whole numbers"),
        ({"runs": [[0, 3, 1], [2, 1, 0]]}, "without overlap"),
        ({"runs": [[3, 1, 1], [0, 1, 0]]}, "without overlap"),
        ({"runs": [[0, 0, 1]]}, "does not fit"),
        ({"runs": [[5, 2, 1]]}, "does not fit"),
        ({"runs": [[0, 1, 2]]}, "names node 2 of 1"),
        ({"runs": [[0, 1, -1]]}, "names node -1"),
        ({"runs": [[0, 1]]}, "3 whole numbers"),
        ({"runs": [[0, 1, 1.5]]}, "3 whole numbers"),
        ({"runs": {}}, "not a list"),
        ({"extra": 1}, "exactly"),
    ],
)
def test_an_odd_slice_of_a_patch_is_refused(change: dict[str, Any], message: str) -> None:
    data = {"nodes": [node(1)], "slices": [GOOD | change]}
    with pytest.raises(InvalidPatch, match=message):
        parse_patch(data, SHAPE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "exactly nodes, slices"),
        ({"nodes": [], "slices": [], "more": 1}, "exactly"),
        ({"nodes": "x", "slices": []}, "list of UUIDs"),
        ({"nodes": [1], "slices": []}, "list of UUIDs"),
        ({"nodes": ["x"], "slices": []}, "not a node UUID"),
        ({"nodes": [node(1), node(1)], "slices": []}, "twice"),
        ({"nodes": [], "slices": {}}, "not a list"),
        ({"nodes": [node(1)], "slices": [GOOD, GOOD]}, "must ascend"),
        ({"nodes": [node(1)], "slices": [GOOD | {"index": 1}, GOOD]}, "must ascend"),
    ],
)
def test_an_odd_patch_is_refused_with_the_cure(data: Any, message: str) -> None:
    with pytest.raises(InvalidPatch, match=message) as caught:
        parse_patch(data, SHAPE)
    assert str(caught.value).endswith("resend it.")


def test_a_patch_for_a_larger_grid_is_refused_when_applied() -> None:
    patch = parse_patch({"nodes": [node(1)], "slices": [GOOD | {"box": [0, 0, 5, 6]}]}, SHAPE)
    with pytest.raises(InvalidPatch, match="outside slice 0"):
        apply_patch(Manifest(GEOMETRY, {}, {}), lambda index: np.zeros((4, 4), np.uint16), patch)


def test_the_effective_mask_is_without_rejected_nodes() -> None:
    volume = np.array([[[0, 1, 2, 3]]], np.uint16)
    assert effective(volume, {2}).tolist() == [[[0, 1, 0, 3]]]
    assert np.array_equal(effective(volume, ()), volume)
    assert volume.tolist() == [[[0, 1, 2, 3]]]


@given(volumes())
def test_a_packed_mask_is_unpacked_unchanged(volume: Labels) -> None:
    labels = {n: node(n) for n in range(1, 4)}
    data = pack_mask(PackedMask.of_volume(volume, GEOMETRY, labels))
    mask = unpack_mask(data)
    assert np.array_equal(mask.to_volume(), volume)
    assert (mask.geometry_hash, mask.shape, mask.labels) == (GEOMETRY, SHAPE, labels)
    assert mask.manifest() == manifest_of(volume)
    read = volume_of(mask.manifest(), SHAPE, lambda index: mask.slices[index])
    assert np.array_equal(read, volume)


def test_the_container_is_header_then_raw_slices_on_an_even_boundary() -> None:
    volume = np.zeros(SHAPE, np.uint16)
    volume[2, 1, 1] = 1
    data = pack_mask(PackedMask.of_volume(volume, GEOMETRY, {1: node(1)}))
    (length,) = struct.unpack_from("<I", data)
    assert (4 + length) % 8 == 0
    assert json.loads(data[4 : 4 + length]) == {
        "geometry": GEOMETRY,
        "labels": [[1, node(1)]],
        "shape": [4, 5, 6],
        "slices": [{"index": 2, "sha256": slice_hash(volume[2])}],
    }
    assert data[4 + length :] == volume[2].tobytes()


def container(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + body


def header_with(**change: Any) -> dict[str, Any]:
    plane = np.ones((5, 6), np.uint16)
    return {
        "geometry": GEOMETRY,
        "labels": [[1, node(1)]],
        "shape": [4, 5, 6],
        "slices": [{"index": 2, "sha256": slice_hash(plane)}],
    } | change


def sliced_at(index: Any) -> dict[str, Any]:
    (entry,) = header_with()["slices"]
    return header_with(slices=[{**entry, "index": index}])


ONES = np.ones((5, 6), np.uint16).tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "shorter"),
        (b"\xff\xff\xff\xff{}", "cut off or too long"),
        (container(b"{"), "cannot be read"),
        (container({}), "cannot be read"),
        (container(header_with(labels=[[1, "x"]]), ONES), "not a node UUID"),
        (container(header_with(shape=[0, 5, 6]), ONES), "positive"),
        (container(header_with(shape=[math.inf, 5, 6]), ONES), "inf is not a whole number"),
        (container(b'{"shape": [1e999, 1, 1]}'), "inf is not a whole number"),
        (container(header_with(shape=[4.0, 5, 6]), ONES), "4.0 is not a whole number"),
        (container(header_with(shape=[True, 5, 6]), ONES), "True is not a whole number"),
        (container(header_with(labels=[["1", node(1)]]), ONES), "'1' is not a whole number"),
        (container(header_with(labels=[[1, node(1)], [1, node(2)]]), ONES), "named twice"),
        (container(sliced_at(math.inf), ONES), "inf is not a whole number"),
        (container(sliced_at(2.9), ONES), "2.9 is not a whole number"),
        (container(sliced_at("2"), ONES), "'2' is not a whole number"),
        (container(b"[" * 100_000), "cannot be read"),
        (container(header_with(shape=[2, 5, 6]), ONES), "ascend within"),
        (container(header_with(), ONES[:-2]), "need"),
        (container(header_with(), ONES + b"\0\0"), "need"),
        (container(header_with(), b"\2\0" + ONES[2:]), "not the one its header names"),
        (container(header_with(labels=[]), ONES), "label without a node"),
    ],
)
def test_a_damaged_container_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DamagedMask, match=message):
        unpack_mask(data)


def test_a_container_that_lists_an_empty_slice_is_refused() -> None:
    zeros = np.zeros((5, 6), np.uint16)
    header = header_with(slices=[{"index": 0, "sha256": slice_hash(zeros)}])
    with pytest.raises(DamagedMask, match="listed but empty"):
        unpack_mask(container(header, zeros.tobytes()))


@examples(30)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_crash_the_reader(data: bytes) -> None:
    with pytest.raises(DamagedMask):
        unpack_mask(data)
