"""The store of what was made of images: equal when it comes back, made again when it does not."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fathom.ground import image_store
from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import code_of, file_fingerprint
from fathom.ground.image_store import DAYS_KEPT, NOWHERE, Made, key_of, open_store

KEY, OTHER = "a1" * 32, "b2" * 32
MAKER = "fathom.audit.image_traits"
DAY = 86_400


def made(value=0.1 + 0.2):
    arrays = {
        "labels": np.arange(12, dtype=np.int32).reshape(3, 4),
        "inside": np.array([[True], [False]]),
        "none": np.zeros((0, 4, 4, 1), np.uint16),
    }
    return Made(arrays, {"value": value, "count": 3, "label": ["ill", None], "nan": float("nan")})


def assert_equal(one, other):
    assert one.arrays.keys() == other.arrays.keys()
    for name, values in other.arrays.items():
        assert (one.arrays[name].dtype, one.arrays[name].shape) == (values.dtype, values.shape)
        np.testing.assert_array_equal(one.arrays[name], values)
    assert repr(one.notes) == repr(other.notes)


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "deep" / "images")


def file_of(store, key=KEY):
    return store.folder / f"{key}.image"


def aged(path, days):
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def test_what_is_kept_comes_back_equal(store, capsys):
    assert store.kept(KEY) is None
    store.keep(KEY, made())
    assert_equal(store.kept(KEY), made())
    assert store.kept(OTHER) is None
    assert [path.name for path in store.folder.iterdir()] == [f"{KEY}.image"]
    assert capsys.readouterr().err == ""


def test_it_is_made_once(store):
    calls = []

    def make():
        calls.append(1)
        return made()

    assert_equal(store.of(KEY, make), made())
    assert_equal(store.of(KEY, make), made())
    assert len(calls) == 1
    NOWHERE.of(KEY, make)
    NOWHERE.of(KEY, make)
    assert len(calls) == 3


def test_what_raises_is_not_kept(store):
    def fail():
        raise FathomError("damaged")

    with pytest.raises(FathomError):
        store.of(KEY, fail)
    assert not store.folder.exists()


def test_a_byte_that_is_flipped_anywhere_is_never_a_wrong_number(store, capsys):
    store.keep(KEY, made())
    path = file_of(store)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert store.kept(KEY) is None, place
        assert f"{path} is damaged" in capsys.readouterr().err
    for kept in (0, 31, 32, 100, -1):
        path.write_bytes(whole[:kept])
        assert store.kept(KEY) is None, kept
    assert_equal(store.of(KEY, made), made())
    assert_equal(store.kept(KEY), made())


def test_the_file_of_another_key_is_refused_under_this_ones_name(store):
    store.keep(OTHER, made())
    file_of(store, OTHER).rename(file_of(store))
    assert store.kept(KEY) is None


def test_two_threads_may_make_the_same(store):
    with ThreadPoolExecutor(4) as pool:
        for one in pool.map(lambda _: store.of(KEY, made), range(40)):
            assert_equal(one, made())
    assert len(list(store.folder.iterdir())) == 1


def test_what_was_not_used_for_a_month_is_deleted_when_the_store_is_opened(store):
    for key in (KEY, OTHER):
        store.keep(key, made())
        aged(file_of(store, key), DAYS_KEPT + 1)
    for name in (f".{KEY}.image.1234.part", "notes.txt"):
        (store.folder / name).write_text("half, or mine")
        aged(store.folder / name, DAYS_KEPT + 1)
    store.kept(KEY)  # is in use
    open_store(store.folder)
    assert {path.name for path in store.folder.iterdir()} == {f"{KEY}.image", "notes.txt"}


def test_a_full_disk_is_a_sentence(store, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(FathomError, match=r"cannot be kept there \(No space left on device\)"):
        store.keep(KEY, made())
    assert list(store.folder.iterdir()) == []


def test_the_key_follows_all_that_decides_a_result(monkeypatch):
    pixels = np.arange(6, dtype=np.uint8)
    key = key_of(MAKER, "params", pixels)
    assert key == key_of(MAKER, "params", pixels.copy())
    others = [
        key_of("fathom.audit.table_checks", "params", pixels),
        key_of(MAKER, "other", pixels),
        key_of(MAKER, "params", pixels[::-1]),
        key_of(MAKER, "params", pixels.astype(np.int8)),
    ]
    assert len({key, *others}) == 5
    real = image_store.version
    for package in image_store.PACKAGES:
        told = {package: "0.0.1"}
        monkeypatch.setattr(image_store, "version", lambda name, t=told: t.get(name, real(name)))
        image_store._machinery.cache_clear()
        assert key_of(MAKER, "params", pixels) != key, package
    monkeypatch.undo()
    monkeypatch.setattr(image_store, "processor", lambda: "another")
    image_store._machinery.cache_clear()
    assert key_of(MAKER, "params", pixels) != key
    monkeypatch.undo()
    image_store._machinery.cache_clear()
    monkeypatch.setattr(image_store, "code_of", lambda module: code_of(module) + "edited")
    assert key_of(MAKER, "params", pixels) != key


def test_a_file_is_known_by_its_bytes_and_by_how_it_is_read(tmp_path):
    names = ("a.tif", "b.TIF", "c.png", "d.tif")
    for name in names:
        (tmp_path / name).write_bytes(b"other" if name == "d.tif" else b"same")
    a, b, c, d = (file_fingerprint(tmp_path / name) for name in names)
    assert a == b
    assert len({a, c, d, file_fingerprint(tmp_path / "missing.tif")}) == 4
