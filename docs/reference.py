"""Write docs/params.md and docs/command-line.md from the code: `python docs/reference.py`.

A param's meaning is its comment in params.yaml, what is allowed its field's type; a command's
options and examples are those of its `--help`. `make docs` writes both pages, and
tests/test_docs.py says where a committed one is not what the code says.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
import yaml

from fathom.cli import COMMANDS, app
from fathom.commands.examples import EXAMPLES
from fathom.commands.words import EXIT_CODES
from fathom.ground.section import Section

ROOT = Path(__file__).parents[1]
PARAMS, COMMAND_LINE = ROOT / "docs" / "params.md", ROOT / "docs" / "command-line.md"
GENERATED = "<!-- Written by docs/reference.py from the code: edit the code. -->"
# A key, its value and the comment behind it, as params.yaml is written.
LINE = re.compile(r"( *)([\w.-]+):(?: +(.*?))??(?: +# ?(.*))?$")
TABLES = {
    "architectures": "one line of text each ([grammar](architecture-lines.md))",
    "interventions": "named changes, for rows ([own intervention](own-intervention.md))",
    "runs": "a row each: `architecture` and `interventions`",
    "controls": "a row each: `architecture` and `interventions`",
}


def params_page() -> str:
    """Return the page of all params, in the order of params.yaml."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    values, comments = yaml.safe_load(text), comments_of(text)
    sections, readers = sections_of_the_code(), readers_of(values)
    parts = [
        GENERATED,
        "# Params",
        "Every number of the pipeline stands in `params.yaml`, and none in the code. A stage runs "
        "again when a key changes that it reads. An unknown key, a missing one or a value that is "
        "not allowed is refused by name before any work.",
    ]
    for key, value in values.items():
        parts += [f"## {key}", *_section(key, value, comments, sections.get(key))]
        parts.append(f"Read by: {', '.join(f'`{stage}`' for stage in readers[key]) or 'people'}.")
    other = sections["segmentation with method onnx"].model_json_schema()
    parts += [
        "## segmentation, with `method: onnx`",
        "These keys stand in `segmentation` instead, where a network of one's own finds the nuclei "
        "([own segmenter](own-segmenter.md)).",
        _table(("key", "allowed"), ((f"`{k}`", allowed(of, other)) for k, of in _fields(other))),
    ]
    return "\n\n".join(parts) + "\n"


def sections_of_the_code() -> dict[str, type[Section]]:
    """Return the class of each section by its key; that of a segmenter has a name of its own."""
    found: dict[str, type[Section]] = {}
    for file in sorted((ROOT / "src" / "fathom").rglob("*.py")):
        if "(Section)" not in file.read_text(encoding="utf-8"):
            continue
        module = import_module(".".join(file.relative_to(ROOT / "src").with_suffix("").parts))
        for section in vars(module).values():
            if (
                isinstance(section, type)
                and issubclass(section, Section)
                and section is not Section
            ):
                other = section.key in found and section.__name__ == "NetworkSegmentation"
                found[f"{section.key} with method onnx" if other else section.key] = section
    return found


def readers_of(values: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the stages that read each section, by dvc.yaml; a folder that it names counts too."""
    readers: dict[str, list[str]] = {key: [] for key in values}
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    for name, stage in yaml.safe_load(text)["stages"].items():
        written = stage.get("do", stage)
        named = [str(key).partition(".")[0] for key in written.get("params", ())]
        named += re.findall(r"params:(\w+)", written["cmd"])
        named += re.findall(r"\w+", stage.get("foreach", "") if "do" in stage else "")
        for key in dict.fromkeys(named):
            readers[key].append(name)
    return readers


def comments_of(text: str) -> dict[str, str]:
    """Return what params.yaml says of each key, dotted: the comments above it and behind it."""
    said: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.strip().lstrip("# "))
            continue
        if (match := LINE.match(line)) and not line.lstrip().startswith("- "):
            indent, key, _, behind = match.groups()
            path = [(depth, name) for depth, name in path if depth < len(indent)]
            path.append((len(indent), key))
            said[".".join(name for _, name in path)] = " ".join(filter(None, (*above, behind)))
        above = []
    return said


def allowed(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return what a field of a JSON schema allows, in words."""
    if "$ref" in field:
        fields = _fields(schema["$defs"][field["$ref"].rpartition("/")[2]])
        return "; ".join(f"`{key}`: {allowed(of, schema)}" for key, of in fields)
    if "anyOf" in field:
        return ", or ".join(allowed(one, schema) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    for kind, (told, inside) in CONTAINERS.items():
        if field.get("type") == kind:
            return f"{told}: {allowed(field.get(inside) or {}, schema)}"
    return f"{KINDS[field['type']]}{_bounds(field)}"


CONTAINERS = {
    "array": ("a list", "items"),
    "object": ("a mapping", "additionalProperties"),
}
KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true`, `false`",
    "null": "`null`",
}
BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "from",
    "exclusiveMaximum": "below",
    "maximum": "up to",
}


def _bounds(field: Mapping[str, Any]) -> str:
    told = [f"{word} {field[key]}" for key, word in BOUNDS.items() if key in field]
    return f" {', '.join(told)}" if told else ""


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from schema.get("properties", {}).items()


def _section(
    key: str, value: object, comments: Mapping[str, str], section: type[Section] | None
) -> Iterator[str]:
    """Yield what the page says of one section, a paragraph each."""
    if comments.get(key):
        yield _sentence(comments[key])
    if key in TABLES and isinstance(value, dict):
        yield _sentence(TABLES[key])
        rows = (
            (f"`{name}`", _code(row), _linked(comments.get(f"{key}.{name}", "")))
            for name, row in value.items()
        )
        yield _table(("name", "value", ""), rows)
    elif section is None:
        yield f"As committed: {_code(value)}."
    else:
        assert isinstance(value, dict)  # a section is a mapping, or the pipeline would not start
        schema = section.model_json_schema()
        rows = (
            (
                f"`{name}`",
                _code(value[name]),
                allowed(of, schema),
                _linked(comments.get(f"{key}.{name}", "")),
            )
            for name, of in _fields(schema)
        )
        yield _table(("key", "as committed", "allowed", "meaning"), rows)


def _sentence(text: str) -> str:
    linked = _linked(text)
    return f"{linked[0].upper()}{linked[1:].rstrip('.')}."


def _linked(comment: str) -> str:
    """Return a comment with the pages that it names as links."""
    return re.sub(r"docs/([\w-]+)\.md", r"[\1](\1.md)", comment)


def _code(value: object) -> str:
    """Return a value as YAML has it, in one line of code; a long list by its length."""
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} values"
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return f"`{text.removesuffix(chr(10) + '...' + chr(10)).strip()}`"


def _table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def command_line_page() -> str:
    """Return the page of all commands: arguments, options, examples, and the exit codes."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    parts = [
        GENERATED,
        "# Command line",
        "`fathom COMMAND --help` prints what stands here. `fathom --version` prints the version. "
        "One word has one meaning in all commands: FOLDER is a data set, MODEL an exported "
        "network, SLIDE what is scored, RUN a row of params.yaml, REVISION a commit by any name "
        "that git knows. Lengths carry their unit.",
        "## For scripts",
        "`--json` prints one JSON value on stdout and nothing else. What is said to people goes to "
        "stderr. `predict` and `package` have none: what they make are files, of formats that "
        "scripts read ([new slides](new-slides.md)); `new` asks a person.",
        "## Exit codes",
        _table(
            ("code", "meaning"), ((str(int(code)), f"{said}") for code, said in EXIT_CODES.items())
        ),
    ]
    for title, functions in COMMANDS.items():
        parts.append(f"## {title}")
        for function in functions:
            parts += _command(function.__name__, commands[function.__name__])
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401  click's, or typer's copy of it
    yield f"### fathom {name}"
    yield " ".join((command.help or "").split())
    rows = []
    for param in command.params:
        if param.name == "help":
            continue
        required = param.required
        if param.param_type_name == "argument":
            called = f"`{param.metavar or param.name.upper()}`"
        else:
            options = (*param.opts, *param.secondary_opts)
            called = ", ".join(f"`{option}`" for option in options)
        default = _default(param)
        rows.append((called, param.help or "", "needed" if required else default))
    yield _table(("word", "meaning", "else"), iter(rows))
    yield "\n".join(("```", *EXAMPLES[name], "```"))


def _default(param: Any) -> str:  # noqa: ANN401
    """Return what counts where the word is not given."""
    if isinstance(param.show_default, str):
        return param.show_default
    if param.default is None or param.default is False or callable(param.default):
        return ""
    if param.default is True:
        return f"`{param.opts[0]}`"
    return f"`{param.default}`"


def main() -> None:
    """Write both pages."""
    PARAMS.write_text(params_page(), encoding="utf-8")
    COMMAND_LINE.write_text(command_line_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
