"""dvc.yaml against the code, both ways: DVC does not follow imports, so the rooms are kept here."""

import ast
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from fathom.ground.section import Section
from fathom.ground.stage import arguments

ROOT = Path(__file__).parents[1]
STAGES = {
    name: stage
    for file in ("dvc.yaml", "data/dvc.yaml")
    for name, stage in yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["stages"].items()
}


def module_name(path):
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)


SECTIONS = {
    name: section.key
    for file in (ROOT / "src" / "fathom").rglob("*.py")
    for name, section in vars(import_module(module_name(file))).items()
    if isinstance(section, type) and issubclass(section, Section) and section is not Section
}
# What these functions of `fathom` read, as dvc.yaml writes it.
READERS = {
    "read_runs": {"runs"},
    "read_controls": {"controls"},
    "read_table": {"${table}"},
    "read_row": {"architectures.${item.architecture}", "${table}.${key}"},
    "read_architectures": {"architectures"},
    "read_segmentation": {"segmentation"},
    "read_numerics": {"numerics"},
}
TABLES = ("runs", "controls")
# From the top down: a package imports those below it, and the modules that lie beside them.
PACKAGES = (
    "scoring",
    "results",
    "packaging",
    "reports",
    "models",
    "texture",
    "diagnosis",
    "controls",
    "training",
    "statistics",
    "slides",
    "simulation",
    "audit",
    "splitting",
    "networks",
    "imaging",
    "baselines",
    "default_data",
    "arranging",
    "study",
    "datasets",
    "ground",
)
# A dep that orders two stages: nothing of it is read.
ORDER = {"audit_images": {"data/checked.txt"}, "segment": {"data/audit_images"}}
HEAVY = {"torch", "sklearn", "joblib", "matplotlib", "dvc", "onnx", "onnxscript"}


def definition(stage):
    return STAGES[stage].get("do", STAGES[stage])


def command(stage):
    """Return the words of a stage's command; a folder that params name as its deps name it."""
    words = shlex.split(definition(stage)["cmd"])
    return [f"${{{w.removeprefix('params:')}}}" if w.startswith("params:") else w for w in words]


def script(stage):
    """Return the script that a stage runs: several stages can share one."""
    return ROOT / command(stage)[1]


def source(module):
    return ROOT / "src" / (module.replace(".", "/") + ".py")


def imports(path):
    """Return the full names of what a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def closure(path):
    """Return the files of fathom that `path` imports, directly or not."""
    found, waiting = set(), [path]
    while waiting:
        for name in imports(waiting.pop()):
            file = source(name)
            if name.startswith("fathom.") and file.is_file() and file not in found:
                found.add(file)
                waiting.append(file)
    return found


def packages(paths):
    return {name.split(".")[0] for path in paths for name in imports(path)}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_script_and_every_room_it_imports_from(stage):
    code = {script(stage), *(path.parent for path in closure(script(stage)))}
    listed = [dep for dep in definition(stage)["deps"] if dep.startswith(("stages/", "src/"))]
    assert sorted(listed) == sorted(str(path.relative_to(ROOT)) for path in code)


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_sections_the_script_reads(stage):
    # The table that a script reads a row of is the stage's own; a whole one its command names.
    named = command(stage)[2]
    table = named if named in TABLES else STAGES[stage].get("foreach", "").strip("${}")
    read = set()
    for call in ast.walk(ast.parse(script(stage).read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            if call.func.id == "read_section":
                read.add(SECTIONS[call.args[0].id])
            keys = READERS.get(call.func.id, set())
            read |= {key.replace("${table}", table) for key in keys}
    assert set(definition(stage).get("params", [])) == read


def test_the_page_says_what_an_edit_of_each_room_runs_again():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| room | stages that an edit runs again")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    said = {row[1].strip(" `"): row[2].strip() for row in rows}
    assert set(said) == {*PACKAGES, "cli"}
    for room, stages in said.items():
        named = set(re.findall(r"`(\w+)`", stages))
        told = set(STAGES) - named if stages.startswith("all") else named
        folder = f"src/fathom/{room}"
        assert told == {stage for stage in STAGES if folder in definition(stage)["deps"]}, room


def test_params_are_read_in_stage_scripts_only():
    readers = {"read_section", *READERS}
    for path in (ROOT / "src" / "fathom").rglob("*.py"):
        readers_themselves = ("rows", "params", "numerics", "section")
        commands = ("cli", "line_table", "report", "control_report", "run_table")
        if path.stem not in (*readers_themselves, *commands):
            used = {
                node.id for node in ast.walk(ast.parse(path.read_text())) if hasattr(node, "id")
            }
            assert not used & readers, path


def test_every_stage_has_a_script_and_every_script_a_stage():
    assert set((ROOT / "stages").glob("*.py")) == {script(stage) for stage in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_names_the_script_and_each_path_is_a_dep_or_an_output(stage):
    cmd = command(stage)
    assert cmd[0] == "python"
    assert cmd[1] in definition(stage)["deps"]
    outs = [out if isinstance(out, str) else next(iter(out)) for out in definition(stage)["outs"]]
    declared = [*definition(stage)["deps"], *outs]
    # A name that starts with a dot is a folder that git ignores: downloads, cells.
    words = {"${key}", *TABLES}
    paths = [word for word in cmd[2:] if word not in words and not word.startswith(".")]
    for path in paths:
        assert path in declared, path
    for path in set(declared) - ORDER.get(stage, set()):
        assert path in paths or path.startswith(("stages/", "src/fathom/")), path


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Return a project with folders of odd names: its stages as DVC has them, and the folders."""
    folder = tmp_path_factory.mktemp("odd")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    names = ("""data/Zoë's "fields" $HOME `id` \\ *""", "data/neue; Präparate & 'zwei' #3")
    params["dataset"], params["new_slides"]["dataset"] = names
    params["runs"] = {"larger_2": params["runs"]["shallow"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    with Repo.init(folder, no_scm=True) as repo:
        stages = {stage.name: stage for stage in repo.index.stages}
    return folder, stages, names


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "fetch"])
def test_a_folder_of_any_name_reaches_the_script_as_it_is(odd, monkeypatch, stage):
    """The command as DVC renders it, through a shell, is the paths that DVC watches."""
    folder, stages, names = odd
    monkeypatch.chdir(folder)
    rendered = stages[f"{stage}@larger_2" if "do" in STAGES[stage] else stage]
    show = "python() { printf '%s\\0' \"$@\"; }\n"
    done = subprocess.run(
        ["/bin/sh", "-c", show + rendered.cmd], capture_output=True, text=True, check=True
    )
    words = set(arguments(done.stdout.split("\0")[1:-1]))
    paths = {str(one.def_path) for one in [*rendered.deps, *rendered.outs] if one.def_path}
    paths = {path for path in paths if not path.startswith(("stages/", "src/", "params.yaml"))}
    assert paths - ORDER.get(stage, set()) <= words
    assert words - paths <= {*TABLES, "larger_2", ".cells", ".images"}
    named = {
        f"${{{key}}}": name
        for key, name in zip(("dataset", "new_slides.dataset"), names, strict=True)
    }
    for dep in definition(stage)["deps"]:
        assert named.get(dep, dep) in words or dep not in named


@pytest.mark.parametrize("path", sorted((ROOT / "stages").glob("*.py")), ids=lambda one: one.stem)
def test_a_script_imports_the_stage_first_and_runs_by_it(path):
    """Before numpy and torch: what is imported then chooses the instruction sets."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [
        alias.name if isinstance(node, ast.Import) else node.module
        for node in lines
        for alias in node.names
    ]
    ours = next(number for number, name in enumerate(names) if name.startswith("fathom"))
    assert names[ours] == "fathom.ground.stage"
    assert set(names[:ours]) <= sys.stdlib_module_names
    assert "fathom.ground.stage.run(" + path.stem + ")" in ast.unparse(tree.body[-1])


def test_the_stage_imports_neither_numpy_nor_torch():
    script = "import fathom.ground.stage, sys; assert not {'numpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_stages_are_short():
    for path in (ROOT / "stages").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 45, path


def test_modules_are_short():
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


@pytest.mark.parametrize("module", ["study.rows", "networks.layers", "networks.architecture"])
def test_the_bottom_imports_only_the_errors(module):
    assert {path.stem for path in closure(source(f"fathom.{module}"))} <= {
        "errors",
        "layers",
        "section",
    }
    assert "torch" not in packages([source(f"fathom.{module}")])


@pytest.mark.parametrize(
    "module",
    ["ground.images", "imaging.segmentation", "imaging.crops", "scoring.predict", "cli"],
)
def test_images_and_inference_need_none_of_the_training_packages(module):
    path = source(f"fathom.{module}")
    # `fathom package` imports onnx, of the extra `train`, once it is called.
    allowed = {"onnx"} if module == "cli" else set()
    assert packages([path, *closure(path)]) & HEAVY <= allowed


def test_every_package_has_its_place():
    folders = {path.parent.name for path in (ROOT / "src" / "fathom").glob("*/__init__.py")}
    assert folders <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_downwards(package):
    above = PACKAGES[: PACKAGES.index(package)]
    for path in (ROOT / "src" / "fathom" / package).glob("*.py"):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("fathom.")}
        assert not used & set(above), path


def test_the_packages_themselves_import_nothing():
    for path in (ROOT / "src" / "fathom").glob("*/__init__.py"):
        assert imports(path) == set(), path


def test_the_library_imports_its_parts_when_they_are_asked_for():
    script = """
import sys
import fathom
assert not [name for name in sys.modules if name.startswith("fathom.") or name == "numpy"]
assert fathom.predict.__module__ == "fathom.scoring.predict"
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("data/mine", True),
        ("data/mine.dvc", False),
        ("data/.gitignore", False),
        ("data/none/images.csv", False),
    ],
)
def test_git_keeps_the_note_of_a_data_set_of_ones_own_and_not_its_images(path, ignored):
    """`dvc add data/mine` refuses to write data/mine.dvc where git ignores it."""
    asked = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=False)
    assert (asked.returncode == 0) is ignored
