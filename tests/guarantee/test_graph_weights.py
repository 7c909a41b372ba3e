"""Weights: exactly the declared tensors, of a file with the listed digest, and no code in it."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from graph_models import encoder, file_of, gated
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.guarantee.graph.reference import Format
from inspectorate.mechanisms.guarantee.graph.weights import Weights, parse_weights, read_weights

GRAPH = encoder()
FILE = file_of(GRAPH, 1)


def read(data: bytes, content: str | None = None) -> Weights:
    return parse_weights(data, GRAPH, content=content, where="test")


def archive(tensors: dict[str, np.ndarray], **options: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as file:  # type: ignore[arg-type]
        for name, array in tensors.items():
            held = io.BytesIO()
            np.lib.format.write_array(held, array, allow_pickle=True)
            file.writestr(name + ".npy", held.getvalue())
    return stream.getvalue()


def test_a_file_gives_its_tensors_and_is_known_by_its_digest(tmp_path: Path) -> None:
    found = read(FILE, digest_of(FILE))
    assert set(found.tensors) == {name for name, _ in GRAPH.tensors()}
    for name, array in load(FILE).items():
        assert np.array_equal(found.tensors[name], array)
    (tmp_path / "w").write_bytes(FILE)
    assert read_weights(tmp_path / "w", GRAPH, content=digest_of(FILE)).root == found.root
    with pytest.raises(InputError, match="cannot be read"):
        read_weights(tmp_path / "absent", GRAPH, content=None)


def test_both_kinds_of_file_hold_the_same_tensors() -> None:
    assert read(archive(load(FILE))).root == read(FILE).root
    assert read(archive(load(FILE), compression=zipfile.ZIP_DEFLATED)).root == read(FILE).root


def test_another_digest_is_refused_before_anything_is_read() -> None:
    with pytest.raises(EvidenceError, match="is listed"):
        read(FILE, digest_of(b"another"))


def test_one_changed_number_is_named_by_its_tensor() -> None:
    changed = load(FILE)
    changed["head.bias"][3] += 1e-6
    first, second = read(FILE).digests, read(save(changed)).digests
    assert {name for name in first if first[name] != second[name]} == {"head.bias"}


@pytest.mark.parametrize("kind", ["missing", "beside", "shape", "format", "not finite"])
@pytest.mark.parametrize("pack", [save, archive], ids=["safetensors", "archive"])
def test_what_was_not_declared_is_refused(kind: str, pack) -> None:  # type: ignore[no-untyped-def]
    tensors = load(FILE)
    match kind:
        case "missing":
            del tensors["head.bias"]
        case "beside":
            tensors["hidden"] = np.zeros(3, dtype=np.float32)
        case "shape":
            tensors["head.weight"] = np.ascontiguousarray(tensors["head.weight"].T)
        case "format":
            tensors["head.bias"] = tensors["head.bias"].astype(np.float16)
        case "not finite":
            tensors["head.bias"][0] = np.inf
    with pytest.raises(EvidenceError):
        read(pack(tensors))


class Runs:
    """An object that runs something when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('ran')",))


def test_no_pickle_is_ever_opened() -> None:
    objects = dict(load(FILE))
    objects["head.bias"] = np.array([Runs()] * 256, dtype=object)
    with pytest.raises(EvidenceError):
        read(archive(objects))
    with pytest.raises(EvidenceError):
        read(pickle.dumps(Runs()))


def test_an_archive_that_unpacks_to_more_than_declared_is_refused_unopened() -> None:
    large = dict(load(FILE))
    large["head.bias"] = np.zeros(8_000_000, dtype=np.float32)
    data = archive(large, compression=zipfile.ZIP_DEFLATED)
    assert len(data) < 200_000
    with pytest.raises(EvidenceError, match="larger than declared"):
        read(data)


def test_bfloat16_is_read_exactly() -> None:
    torch = pytest.importorskip("torch", reason="needs torch==2.13.0")
    pack = pytest.importorskip("safetensors.torch").save
    graph = gated(stored=Format.BFLOAT16)
    tensors = {name: torch.randn(parameter.shape, dtype=torch.bfloat16) for name, parameter in graph.tensors()}
    found = parse_weights(pack(tensors), graph, content=None, where="test")
    for name, parameter in graph.tensors():
        assert np.array_equal(found.numbers(name, parameter), tensors[name].double().numpy())


def test_quantised_numbers_are_integers_times_the_scale_of_their_group() -> None:
    graph = gated(group=8)
    found = parse_weights(file_of(graph, 2), graph, content=None, where="test")
    for name, parameter in graph.tensors():
        if parameter.quantisation is None:
            continue
        scales = found.tensors[name.replace("weight", "scales")]
        numbers = found.numbers(name, parameter)
        for row, column in ((0, 0), (3, 7), (5, 8), (2, 15)):
            expected = float(found.tensors[name][row, column]) * float(scales[row, column // 8])
            assert numbers[row, column] == expected


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255), st.booleans())
def test_a_changed_byte_is_noticed_or_refused(place: int, change: int, packed: bool) -> None:
    data = ARCHIVE if packed else FILE
    place %= len(data)
    wrong = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
    try:
        found = read(wrong)
    except EvidenceError:
        return
    assert found.content != digest_of(data)


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    for head in (b"", b"PK\x03\x04", FILE[:8]):
        with pytest.raises(EvidenceError):
            read(head + data)


ARCHIVE = archive(load(FILE))
