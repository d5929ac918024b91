"""The house numbers: small modules, small functions, no globals, printing only in the shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "segdoor"
MODULES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "misc", "common"}
ERRORS = {"ConfigError", "DataError", "StorageError", "MachineError"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


def functions(module: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(module)) if isinstance(node, Function))


def body_length(function: Function) -> int:
    """Count the lines of statements: signature and docstring tell, they do not compute."""
    body = function.body
    starts_with_text = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    body = body[1:] if starts_with_text else body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
class TestModule:
    def test_has_at_most_300_lines(self, module: Path) -> None:
        assert len(module.read_text().splitlines()) <= 300

    def test_has_functions_of_at_most_40_lines(self, module: Path) -> None:
        long = {f.name: body_length(f) for f in functions(module) if body_length(f) > 40}
        assert long == {}

    def test_has_no_global_statement(self, module: Path) -> None:
        assert [n.lineno for n in ast.walk(tree(module)) if isinstance(n, ast.Global)] == []

    def test_has_no_bare_except(self, module: Path) -> None:
        handlers = [n for n in ast.walk(tree(module)) if isinstance(n, ast.ExceptHandler)]
        assert [n.lineno for n in handlers if n.type is None] == []

    def test_prints_only_in_the_shell(self, module: Path) -> None:
        if module.is_relative_to(SOURCE / "cli"):
            return
        calls = [n for n in ast.walk(tree(module)) if isinstance(n, ast.Call)]
        names = [n.func.id for n in calls if isinstance(n.func, ast.Name)]
        assert "print" not in names

    def test_every_error_says_what_to_do(self, module: Path) -> None:
        calls = [n for n in ast.walk(tree(module)) if isinstance(n, ast.Call)]
        errors = [n for n in calls if isinstance(n.func, ast.Name) and n.func.id in ERRORS]
        named = ["remedy" in {keyword.arg for keyword in call.keywords} for call in errors]
        told = [len(call.args) >= 4 for call in errors]
        lines = [call.lineno for call in errors]
        assert [n for n, *said in zip(lines, named, told, strict=True) if not any(said)] == []

    def test_is_not_called_a_drawer_for_everything(self, module: Path) -> None:
        assert module.stem not in FORBIDDEN_NAMES
        assert module.parent.name not in FORBIDDEN_NAMES

    def test_says_what_it_is_in_its_first_line(self, module: Path) -> None:
        docstring = ast.get_docstring(tree(module))
        assert docstring
        assert docstring.splitlines()[0].endswith(".")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_public_classes_are_not_called_base(module: Path) -> None:
    names = [n.name for n in ast.walk(tree(module)) if isinstance(n, ast.ClassDef)]
    assert [name for name in names if name.startswith("Base")] == []


PLANTED = {
    "test_has_no_bare_except": "try:\n    pass\nexcept:\n    pass\n",
    "test_has_no_global_statement": "def f():\n    global x\n",
    "test_prints_only_in_the_shell": "print('x')\n",
    "test_has_at_most_300_lines": "x = 1\n" * 301,
    "test_has_functions_of_at_most_40_lines": "def f():\n" + "    x = 1\n" * 41,
    "test_every_error_says_what_to_do": "raise DataError('x', 'must be y', 'z')\n",
    "test_says_what_it_is_in_its_first_line": "x = 1\n",
}


@pytest.mark.parametrize("rule", PLANTED)
def test_the_rule_can_fail(rule: str, tmp_path: Path) -> None:
    module = tmp_path / "planted.py"
    module.write_text(PLANTED[rule])
    check = getattr(TestModule(), rule)
    with pytest.raises(AssertionError):
        check(module)
