"""What git keeps of a commit: the files of a revision, read without a checkout."""

import json
import subprocess
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

import yaml

from fathom.ground.errors import FathomError

MOST_BRANCHES = 6  # of those that are named where a name is unknown


@dataclass(frozen=True)
class Revision:
    """A commit by the name that the user gave it."""

    name: str
    commit: str
    date: str  # of the commit, as 2026-11-28

    def __str__(self) -> str:
        """Return `main (5967f07, 2026-11-28)`."""
        return f"{self.name} ({self.commit[:7]}, {self.date})"

    def names(self, folder: str | PurePath) -> list[str]:
        """Return the paths of all files in `folder`, or of the file itself; none: it has none."""
        return git("ls-tree", "-r", "--name-only", self.commit, "--", str(folder)).splitlines()

    def read(self, path: str | PurePath) -> bytes | None:
        """Return the bytes of a file, None where the commit has none of that name."""
        command = ["git", "show", f"{self.commit}:./{path}"]
        done = subprocess.run(command, capture_output=True, check=False)
        return None if done.returncode else done.stdout

    def json(self, path: str | PurePath) -> dict[str, Any]:
        """Return the object in a JSON file, {} where there is no such file."""
        try:
            return dict(json.loads(self.read(path) or b"{}"))
        except (ValueError, TypeError):
            raise FathomError(f"{path} of {self} cannot be read: it is no JSON object") from None

    def yaml(self, path: str | PurePath) -> dict[str, Any]:
        """Return the mapping in a YAML file, {} where there is no such file."""
        try:
            return dict(yaml.safe_load(self.read(path) or b"{}"))
        except (yaml.YAMLError, TypeError, ValueError):
            raise FathomError(f"{path} of {self} cannot be read: it is no YAML mapping") from None


def revision_of(name: str) -> Revision:
    """Return the commit that git knows by `name`: a branch, a tag, a hash, HEAD~2.

    Raises `FathomError` where git does not know it, naming the branches that there are, and
    outside a repository.
    """
    git("rev-parse", "--git-dir")
    try:
        commit = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except FathomError:
        raise FathomError(
            f"{name!r} is no commit here. {_branches_like(name)}; "
            "`git fetch` brings those of others"
        ) from None
    date = git("show", "--no-patch", "--format=%cs", commit.strip())
    return Revision(name, commit.strip(), date.strip())


def _branches_like(name: str) -> str:
    """Say which branches there are: those spelled like `name` first, then the newest."""
    words = ("branch", "--all", "--sort=-committerdate", "--format=%(refname:short)")
    branches = git(*words).split()
    alike = get_close_matches(name, branches, n=MOST_BRANCHES)
    shown = list(dict.fromkeys((*alike, *branches)))[:MOST_BRANCHES]
    more = len(branches) - len(shown)
    listed = ", ".join(shown) or "none yet"
    return f"The branches are: {listed}{f' and {more} more' if more else ''}"


def first_commit_with(folder: str, before: Revision) -> str | None:
    """Return the short hash of the first commit up to `before` or HEAD that has `folder`."""
    words = ("log", "--format=%h", "--diff-filter=A", "--reverse", before.commit, "HEAD")
    commits = git(*words, "--", folder).split()
    return commits[0] if commits else None


def not_committed(*paths: str) -> list[str]:
    """Return those of the files in `paths` that differ from HEAD or are unknown to git."""
    lines = git("status", "--porcelain", "--untracked-files=all", "--", *paths).splitlines()
    return [line[3:] for line in lines]


def git(*words: str) -> str:
    """Return what git prints. Raises `FathomError` with its own first line where it fails."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise FathomError(
            "git is not installed, and the commits cannot be read without it"
        ) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"git {words[0]} failed"]
        raise FathomError(f"git: {said[0].removeprefix('fatal: ')}")
    return done.stdout
