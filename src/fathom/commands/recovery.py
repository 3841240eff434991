"""The command `recover`: what a killed `dvc repro` or a failing disk left, mended.

DVC 3.67 writes dvc.lock (`dvc.utils.serialize._dump_data`) and its list of busy files,
.dvc/tmp/rwlock (`dvc.rwlock._edit_rwlock`), in place: a kill in that moment leaves the half of a
file, which DVC then refuses to read. And it takes a process that has the number of a killed one
for that one.
"""

import fcntl
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from fathom.ground.errors import FathomError

LOCKS = ("dvc.lock", "data/dvc.lock")
TEMPORARY = Path(".dvc/tmp")
RWLOCK = TEMPORARY / "rwlock"
STAGE = re.compile(r"^  \S.*:$", re.MULTILINE)  # where an entry of dvc.lock begins


def recover(
    cache: Annotated[
        bool,
        typer.Option(
            "--cache",
            help="Hash every file of DVC's cache and of its outputs too; what is damaged is named, "
            "and restored or made again by the next `dvc pull` or `make repro`.",
        ),
    ] = False,
) -> None:
    """Mend what a killed `dvc repro` left, that the next one can begin. `make repro` does it first.

    What was lost of dvc.lock is the entry that was being written, and those behind it: their stages
    run again, and networks that are in the store are not trained again. While DVC is at work here,
    nothing is touched.
    """
    with _alone() as alone:
        if alone:
            for name in LOCKS:
                _mend_lock(Path(name))
            _mend_rwlock(RWLOCK)
            if cache:
                _mend_cache()


@contextmanager
def _alone() -> Iterator[bool]:
    """Hold DVC's own lock while the context lasts; False where DVC holds it, or was never here."""
    if not TEMPORARY.is_dir():
        yield any(Path(name).is_file() for name in LOCKS)
        return
    with (TEMPORARY / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield not any(map(_is_dvc, _pids(_busy(RWLOCK) or {})))


def _mend_lock(path: Path) -> None:
    """Cut what was written in part from the end of a lock file."""
    from fathom.ground.output import written_whole

    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = whole_entries(text)
    if whole == text != "":
        return
    if whole:
        with written_whole(path) as part:
            part.write_text(whole, encoding="utf-8")
    else:  # DVC reads none, not an empty one
        path.unlink()
    print(
        f"{path}: was cut when its writer was killed. Of {len(STAGE.findall(whole))} stages it has "
        "all, the others run again",
        file=sys.stderr,
    )


def whole_entries(text: str) -> str:
    """Return dvc.lock without the entry in which it was cut; the text itself where it is whole."""
    if text.endswith("\n") and _is_lock(text):
        return text
    begun = [found.start() for found in STAGE.finditer(text)]
    kept = text[: begun[-1]] if len(begun) > 1 else ""
    return kept if kept == "" or _is_lock(kept) else ""


def _is_lock(text: str) -> bool:
    """Tell whether DVC reads a text: every stage has a command, no key lacks a value."""
    import yaml

    try:
        told = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return False
    stages = told.get("stages") if isinstance(told, dict) else None
    return isinstance(stages, dict) and all(map(_is_stage, stages.values()))


def _is_stage(entry: object) -> bool:
    if not isinstance(entry, dict) or not entry.get("cmd"):
        return False
    files = [one for kind in ("deps", "outs") if kind in entry for one in entry[kind] or [None]]
    return all(
        isinstance(one, dict) and "path" in one and None not in one.values() for one in files
    ) and ("params" not in entry or bool(entry["params"]))


def _mend_rwlock(path: Path) -> None:
    """Delete the list of busy files where it cannot be read, or nobody is busy any more."""
    if path.is_file() and ((busy := _busy(path)) is None or _pids(busy)):
        path.unlink()
        print(f"{path}: was left by a process that was killed; deleted", file=sys.stderr)


def _mend_cache() -> None:
    """Delete what is damaged in the cache; let DVC see an output that is not what it takes it for.

    DVC trusts a read-only file of its cache, and one that it hashed before, by time and size.
    """
    cache = _cache() / "files" / "md5"
    damaged = [path for path in sorted(cache.rglob("*")) if path.is_file() and _is_damaged(path)]
    for path in damaged:
        path.unlink()
        print(f"{path}: is damaged; deleted", file=sys.stderr)
    wrong = [path for name in LOCKS for path in _wrong_outputs(Path(name), cache)]
    for path in wrong:
        path.touch()
        print(f"{path}: is not what dvc.lock says", file=sys.stderr)
    if damaged or wrong:
        print("'dvc checkout', 'dvc pull' or 'make repro' brings them back", file=sys.stderr)
    else:
        print("every file in DVC's cache and of its outputs is whole")


def _cache() -> Path:
    """Ask DVC where its cache is; importing it would make it a dependency of every command."""
    try:
        done = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise FathomError(
            f"'dvc cache dir' failed ({error}): run this in a project of DVC's, with DVC installed"
        ) from None
    return Path(done.stdout.strip())


def _is_damaged(path: Path) -> bool:
    named = (path.parent.name + path.name).removesuffix(".dir")
    return re.fullmatch("[0-9a-f]{32}", named) is not None and _md5(path) != named


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def _wrong_outputs(lock: Path, cache: Path) -> Iterator[Path]:
    """Yield the files of the outputs whose content is not what a lock file says."""
    import yaml

    if not lock.is_file():
        return
    told = yaml.load(lock.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    for out in (out for stage in told["stages"].values() for out in stage.get("outs", [])):
        path, named = lock.parent / out["path"], str(out.get("md5", ""))
        listed = {path: named}
        if named.endswith(".dir"):
            kept = cache / named[:2] / named[2:]
            files = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else []
            listed = {path / one["relpath"]: one["md5"] for one in files}
        for file, expected in listed.items():
            if expected and file.is_file() and _md5(file) != expected:
                yield file


def _busy(path: Path) -> dict[str, Any] | None:
    """Return DVC's list of busy files, None where it is cut."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _pids(busy: dict[str, Any]) -> set[int]:
    """Return the processes that a list of busy files names."""
    writers = list(busy.get("write", {}).values())
    readers = [one for some in busy.get("read", {}).values() for one in some]
    return {int(one["pid"]) for one in [*writers, *readers] if one}


def _is_dvc(pid: int) -> bool:
    """Tell whether a process is there and one of DVC's: numbers of killed ones are given again."""
    with suppress(OSError):
        return b"dvc" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
