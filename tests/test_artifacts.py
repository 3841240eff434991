"""The model registry of dvc.yaml, asked from outside: a clone, a remote, `dvc artifacts get`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
ARTIFACTS = PIPELINE["artifacts"]
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    **{
        f"GIT_{who}_{what}": "test@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def run(folder, *command):
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_artifact_is_an_output_of_the_stage_package():
    outs = [out for out in PIPELINE["stages"]["package"]["outs"] if isinstance(out, str)]
    assert sorted(artifact["path"] for artifact in ARTIFACTS.values()) == sorted(outs)
    for artifact in ARTIFACTS.values():
        assert artifact["type"] == "model"
        assert artifact["desc"].endswith(".")
        assert artifact["labels"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return a repository with two registered versions; their files are on its remote only."""
    folder = tmp_path_factory.mktemp("published")
    repository, remote = folder / "repository", folder / "remote"
    repository.mkdir()
    run(repository, "git", "init", "-q")
    run(repository, "dvc", "init", "-q")
    run(repository, "dvc", "remote", "add", "-d", "local", str(remote))
    outs = [artifact["path"] for artifact in ARTIFACTS.values()]
    for version in ("v1.0.0", "v1.1.0"):
        command = " && ".join(f"echo {version} {name} > {name}" for name in outs)
        stage = {"cmd": f"mkdir -p registry && {command}", "outs": outs}
        content = {"stages": {"package": stage}, "artifacts": ARTIFACTS}
        (repository / "dvc.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        run(repository, "dvc", "repro", "-q")
        run(repository, "dvc", "push", "-q")
        run(repository, "git", "add", "-A")
        run(repository, "git", "commit", "-qm", version)
        for name in ARTIFACTS:
            # What `gto register NAME` does.
            run(repository, "git", "tag", "-a", f"{name}@{version}", "-m", version)
    shutil.rmtree(repository / ".dvc" / "cache")
    shutil.rmtree(repository / "registry")
    return repository


@pytest.mark.long
@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_newest_version_is_got_by_the_artifacts_name(published, tmp_path, name):
    run(tmp_path, "dvc", "artifacts", "get", str(published), name)
    path = ARTIFACTS[name]["path"]
    assert (tmp_path / Path(path).name).read_text(encoding="utf-8") == f"v1.1.0 {path}\n"


@pytest.mark.long
def test_an_older_version_is_got_by_its_number(published, tmp_path):
    name = next(iter(ARTIFACTS))
    get = ("dvc", "artifacts", "get", str(published), name, "--rev", "v1.0.0", "--out", "old.onnx")
    run(tmp_path, *get)
    assert (tmp_path / "old.onnx").read_text(encoding="utf-8").startswith("v1.0.0 ")
