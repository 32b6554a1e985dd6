"""``list`` and ``show``: what there is, without importing any of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from talkingface import hub, registry, weights
from talkingface.cli import usage
from talkingface.cli.matrix import write_matrix
from talkingface.cli.recipes import about, recipes
from talkingface.cli.static import read_class
from talkingface.core.errors import did_you_mean

# what metrics and extractors say of themselves
FACTS = ("unit", "higher_is_better", "range", "penalty", "needs", "temporal", "networks", "convention", "citation")


def run(verb: str, arguments: list[str]) -> int:
    """List everything, or show one thing."""
    return _list(arguments) if verb == "list" else _show(arguments)


def _list(arguments: list[str]) -> int:
    parser = usage.parser(
        "list", "List parts, recipes and the networks of others.", "list", "list --json", "list --matrix"
    )
    parser.add_argument("--matrix", action="store_true", help="which motion goes with which renderer and generator")
    usage.add_json(parser)
    options = parser.parse_args(arguments)
    if options.matrix:
        write_matrix(options.json)
        return 0
    if options.json:
        usage.write_json(
            {
                "parts": [asdict(part) | {"path": part.path} for part in registry.parts()],
                "recipes": [
                    {"name": name, "path": str(path), "about": about(path)} for name, path in recipes().items()
                ],
                "networks": [asdict(network) for network in weights.manifest().values()],
                "broken_plugins": registry.broken(),
            }
        )
        return 0
    for kind, does in registry.KINDS.items():
        _section(f"{kind} ({does})", {part.name: part.about for part in registry.parts() if part.kind == kind})
    _section("recipes (talkingface fit -c NAME)", {name: about(path) for name, path in recipes().items()})
    _section("networks of others", {name: network.about for name, network in weights.manifest().items()})
    _section("plugins that cannot be used", registry.broken())
    return 0


def _show(arguments: list[str]) -> int:
    parser = usage.parser(
        "show",
        "Show a part, a recipe, a network of others or a model folder; a name may mean several.",
        "show renderer.lia",
        "show anitalker-tiny-stage1",
        "show my-model --json",
    )
    parser.add_argument("name", metavar="NAME", help="a name from 'talkingface list', kind.name, or a model folder")
    usage.add_json(parser)
    options = parser.parse_args(arguments)
    found = list(filter(None, [_model(options.name), *_parts(options.name), _recipe(options.name), _net(options.name)]))
    if not found:
        known = {part.name for part in registry.parts()} | set(recipes()) | set(weights.manifest())
        raise usage.UsageError(f"there is no '{options.name}'; known: {did_you_mean(options.name, known)}.")
    if options.json:
        usage.write_json({"name": options.name, "found": found})
    else:
        usage.write("\n\n".join(map(_page, found)))
    return 0


def _model(name: str) -> dict[str, Any] | None:
    folder = Path(name)
    if not (folder / hub.INDEX_NAME).is_file():
        return None
    index = hub.read_index(folder)
    configs = {part: json.loads((folder / part / "config.json").read_text("utf-8")) for part in index.order()}
    return {"type": "model folder", "name": name, "talkingface": index.version, "parts": configs}


def _parts(name: str) -> list[dict[str, Any]]:
    found = []
    for part in registry.parts():
        if name in (part.name, f"{part.kind}.{part.name}", part.path):
            text = read_class(part.target)
            found.append({"type": "part", **asdict(part), "path": part.path, **(text.to_json() if text else {})})
    return found


def _recipe(name: str) -> dict[str, Any] | None:
    path = recipes().get(name)
    if path is None:
        return None
    return {"type": "recipe", "name": name, "path": str(path), "yaml": path.read_text(encoding="utf-8")}


def _net(name: str) -> dict[str, Any] | None:
    network = weights.manifest().get(name)
    return None if network is None else {"type": "network", **asdict(network)}


def _page(found: Mapping[str, Any]) -> str:
    """One finding for people."""
    if found["type"] == "recipe":
        return f"recipe {found['name']}: {found['path']}\n\n{found['yaml']}"
    if found["type"] != "part":
        facts = {key: value for key, value in found.items() if key not in ("type", "name")}
        return f"{found['type']} {found['name']}\n{json.dumps(facts, indent=2)}"
    lines = [f"{found['kind']} {found['name']}: {found['path']} ({found['origin']})", "", found.get("doc", "")]
    lines += ["", "arguments:"] if found.get("arguments") else []
    for argument in found.get("arguments", ()):
        default = "" if argument["default"] is None else f" = {argument['default']}"
        wired = "   (wired in by its owner)" if argument["wired"] else ""
        lines.append(f"  {argument['name']}: {argument['type']}{default}{wired}")
    said = [f"{name}: {found['facts'][name]}" for name in FACTS if name in found.get("facts", {})]
    lines += ["", *said] if said else []
    return "\n".join(lines)


def _section(title: str, rows: Mapping[str, str]) -> None:
    if rows:
        width = max(map(len, rows))
        usage.write("\n".join([title, *(f"  {name:{width}}  {text}" for name, text in rows.items()), ""]))
