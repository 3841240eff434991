"""Storage that fails: what DVC keeps in its cache and in a remote, lost or damaged, comes back.

A remote is a folder, or S3 as moto's server plays it on this machine.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from dvc.exceptions import CheckoutError
from dvc.repo import Repo

from fathom.commands.recovery import recover

pytestmark = [
    pytest.mark.long,
    # Of DVC's and moto's own libraries about each other.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MAKE = """
from pathlib import Path
Path("nuclei").mkdir()
for number in range(3):
    Path("nuclei", str(number)).write_bytes(bytes([number]) * 5000)
Path("model").write_bytes(Path("images").read_bytes() * 7)
"""
STAGE = """
stages:
  make:
    cmd: python make.py
    deps: [images, make.py]
    outs: [nuclei, model]
"""
WITHOUT_S3 = any(find_spec(name) is None for name in ("moto", "dvc_s3", "flask"))


class Folder:
    """A remote in a folder."""

    def __init__(self, path):
        self.path = path
        self.lines = f"url = {path}"

    def all(self):
        return sorted(str(path) for path in self.path.rglob("*") if path.is_file())

    def damage(self, name):
        Path(name).chmod(0o644)
        Path(name).write_bytes(b"x" * 10)

    def delete(self, name):
        Path(name).unlink()


class Bucket:
    """A remote in S3."""

    def __init__(self, client, endpoint, name):
        self.client, self.name = client, name
        self.lines = f"url = s3://{name}/fathom\n    endpointurl = {endpoint}"

    def all(self):
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return sorted(one["Key"] for one in listed)

    def damage(self, name):
        self.client.put_object(Bucket=self.name, Key=name, Body=b"x" * 10)

    def delete(self, name):
        self.client.delete_object(Bucket=self.name, Key=name)


def listings(remote):
    return [name for name in remote.all() if name.endswith(".dir")]


def files(remote):
    return [name for name in remote.all() if not name.endswith(".dir")]


@pytest.fixture(
    params=["folder", pytest.param("s3", marks=pytest.mark.skipif(
        WITHOUT_S3, reason="needs moto, flask and dvc-s3: requirements-s3.txt"))]
)  # fmt: skip
def remote(request, tmp_path, monkeypatch):
    if request.param == "folder":
        yield Folder(tmp_path / "remote")
        return
    import boto3  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "anyone")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    name = f"bucket{port}{abs(hash(tmp_path))}"[:60]  # a server's buckets outlive it
    client.create_bucket(Bucket=name)
    yield Bucket(client, f"http://{host}:{port}", name)
    server.stop()


@pytest.fixture
def project(remote, tmp_path, monkeypatch):
    """Return the outputs of a project that has run and was pushed, by path."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    Repo.init(no_scm=True).close()
    # The lines of docs/remote.md.
    Path(".dvc/config").write_text(
        f"[core]\n    no_scm = true\n    remote = storage\n['remote \"storage\"']\n"
        f"    {remote.lines}\n    verify = true\n"
    )
    Path("images").write_bytes(b"image" * 500)
    Path("make.py").write_text(MAKE)
    Path("dvc.yaml").write_text(STAGE)
    with Repo() as repo:
        repo.reproduce()
        assert repo.push() == 5
    return content()


def content():
    paths = [*Path("nuclei").glob("*"), Path("model")]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def lose(*names):
    for name in names:
        path = Path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def cached():
    found = (path for path in Path(".dvc/cache/files").rglob("*") if path.is_file())
    return sorted(path for path in found if path.suffix != ".dir")


def pulled():
    with Repo() as repo:
        repo.pull()
    return content()


def reproduced():
    with Repo() as repo:
        repo.reproduce()
    return content()


def test_what_is_lost_here_is_pulled_or_made_again(project, remote):
    lose("nuclei", "model", ".dvc/cache")
    assert pulled() == project
    lose("nuclei", "model", ".dvc/cache")
    assert reproduced() == project
    lose("nuclei", cached()[0])
    assert reproduced() == project
    lose("model", cached()[0], cached()[1])
    assert pulled() == project


def test_what_is_damaged_here_is_pulled_or_made_again(project, remote):
    for bring_back in (pulled, reproduced):
        lose("nuclei", "model")
        for path in cached():
            path.chmod(0o644)
            path.write_bytes(b"x" + path.read_bytes()[1:])
            path.chmod(0o444)
        recover(cache=True)
        assert bring_back() == project


def test_what_is_damaged_there_is_refused_and_made_again(project, remote):
    for name in files(remote):
        remote.damage(name)
    lose("nuclei", "model", ".dvc/cache")
    with pytest.raises(CheckoutError), Repo() as repo:
        repo.pull()
    assert reproduced() == project


def test_what_is_lost_there_is_pushed_again(project, remote, tmp_path):
    """DVC takes a folder for whole where its listing is there: without it, it looks again."""
    for name in (files(remote)[0], *listings(remote)):
        remote.delete(name)
    shutil.rmtree(tmp_path / "site")  # DVC notes there what a remote held
    with Repo() as repo:
        assert repo.push() == 2
    lose("nuclei", "model", ".dvc/cache")
    assert pulled() == project


def test_what_nobody_names_is_collected_and_the_rest_stays(project, remote):
    before = len(files(remote))
    Path("images").write_bytes(b"other" * 500)
    after = reproduced()
    with Repo() as repo:
        repo.push()
        assert len(files(remote)) == before + 1
        repo.gc(workspace=True, cloud=True)
    assert len(files(remote)) == before
    assert len(cached()) == before
    lose("nuclei", "model", ".dvc/cache")
    assert pulled() == after
    Path("images").write_bytes(b"image" * 500)
    assert reproduced() == project
