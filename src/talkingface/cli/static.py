"""A part's constructor and docstring, read from the source text: importing the part would import torch."""

import ast
import inspect
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor.

    Args:
        name: its name.
        type: annotation as written.
        default: default as written, ``None`` where there is none.
        wired: whether the part's owner gives it, so that a configuration does not.
    """

    name: str
    type: str
    default: str | None
    wired: bool


@dataclass(frozen=True)
class ClassText:
    """What the source says of a class.

    Args:
        doc: its docstring.
        arguments: those of its constructor, an inherited one included.
        facts: public attributes that the class sets for all its objects, such as a metric's convention, inherited
            ones included; what is no plain value stands as written.
    """

    doc: str
    arguments: tuple[Argument, ...]
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def read_class(target: str) -> ClassText | None:
    """Look a class up without importing it.

    Args:
        target: ``"package.module:Class"``; re-exports by ``from … import`` are followed.

    Returns:
        ``None`` where the source cannot be found or read.
    """
    module, _, name = target.partition(":")
    return _class(module, name)


def _class(module: str, name: str, depth: int = 0) -> ClassText | None:
    path = _file(module)
    if path is None or depth > 8:  # a chain of re-exports longer than this is a circle
        return None
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    guarded = [node for block in tree.body if isinstance(block, ast.If) for node in block.body]  # if TYPE_CHECKING:
    for node in [*tree.body, *guarded]:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _text(node, module, depth)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _class(_absolute(node, package), alias.name, depth + 1)
    return None


def _text(node: ast.ClassDef, module: str, depth: int) -> ClassText:
    bases = [_class(module, base.id, depth + 1) for base in node.bases if isinstance(base, ast.Name)]
    inherited = [base for base in bases if base is not None]
    doc = inspect.cleandoc(ast.get_docstring(node) or "") or next((base.doc for base in inherited), "")
    arguments = next((base.arguments for base in inherited), ())
    facts = {name: value for base in reversed(inherited) for name, value in base.facts.items()}
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            arguments = _arguments(item.args)
        elif isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            facts |= {item.targets[0].id: _plain(item.value)}
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.value is not None:
            facts |= {item.target.id: _plain(item.value)}
    return ClassText(doc, arguments, {name: value for name, value in facts.items() if not name.startswith("_")})


def _plain(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _arguments(arguments: ast.arguments) -> tuple[Argument, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [*zip(positional, [*defaults, *arguments.defaults], strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return tuple(
        Argument(
            argument.arg,
            ast.unparse(argument.annotation) if argument.annotation else "",
            None if default is None else ast.unparse(default),
            argument in arguments.posonlyargs,
        )
        for argument, default in pairs
        if argument.arg != "self"
    )


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parent = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parent, node.module] if node.module else parent)


def _file(module: str) -> Path | None:
    """Source file of a module; only the top package is asked of Python, so that nothing else is imported."""
    top, *rest = module.split(".")
    spec = find_spec(top) if top else None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin else None
    for root in spec.submodule_search_locations or ():
        base = Path(root).joinpath(*rest)
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
    return None
