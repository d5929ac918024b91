"""Run the notebooks and write their outputs, and a page of each: ``python docs/notebooks.py``.

A page is the notebook as Markdown, for readers without Jupyter: docs/notebooks/NAME.md, with its
pictures beside it. Pages are never edited; the notebooks are.
"""
# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import base64
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

FOLDER: Final = Path(__file__).parent / "notebooks"
NOTEBOOKS: Final = tuple(sorted(FOLDER.glob("*.ipynb")))
_SECONDS_A_CELL: Final = 60
_SHELL: Final = "%%bash"


def executed(file: Path) -> NotebookNode:
    """Return a notebook with the outputs that its cells give now, run in an empty folder."""
    notebook = nbformat.read(file, as_version=4)
    with tempfile.TemporaryDirectory() as made:
        work, kernel = Path(made, "work"), Path(made, "kernel.json")
        work.mkdir()
        client = NotebookClient(
            notebook,
            timeout=_SECONDS_A_CELL,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(work)}},
            # Sockets in that folder: no port is opened.
            config=Config(KernelManager={"transport": "ipc", "connection_file": str(kernel)}),
        )
        client.execute(env=_environment(made))
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
    return notebook


def printed(notebook: NotebookNode) -> list[str]:
    """Return what each code cell prints, without trailing blanks."""
    return [_text(cell) for cell in notebook.cells if cell.cell_type == "code"]


def page(name: str, notebook: NotebookNode) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by file name.

    Args:
        name: Of the notebook, without ending.
        notebook: With its outputs.
    """
    link = f"[{name}.ipynb]({name}.ipynb)"
    parts = [f"*This page is made from the notebook {link}, which you can run yourself.*"]
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(_code(cell.source))
        if text := _text(cell):
            parts.append(f"```text\n{text}\n```")
        for picture in _pictures(cell):
            file = f"{name}-{len(pictures) + 1}.png"
            pictures[file] = picture
            parts.append(f"![What the cell above draws]({file})")
    head = parts.pop(1)
    title, _, rest = head.partition("\n")
    return "\n\n".join([title, parts.pop(0), rest.strip(), *parts]) + "\n", pictures


def _environment(folder: str) -> dict[str, str]:
    """Return the environment of the notebook: our commands are found, and no history is kept."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    cache = str(Path(folder, "cache"))
    return {**os.environ, "PATH": path, "IPYTHONDIR": folder, "SEGDOOR_CACHE": cache}


def _code(source: str) -> str:
    magic, _, command = source.partition("\n")
    return f"```sh\n{command}\n```" if magic.startswith(_SHELL) else f"```python\n{source}\n```"


def _is_progress(output: NotebookNode) -> bool:
    return output.output_type == "stream" and output.name == "stderr"


def _text(cell: NotebookNode) -> str:
    streams = (output.text for output in cell.outputs if output.output_type == "stream")
    lines = "".join(streams).rstrip().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _pictures(cell: NotebookNode) -> list[bytes]:
    shown = (output.data for output in cell.outputs if output.output_type == "display_data")
    return [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]


def main() -> None:
    """Write every notebook and its page anew."""
    for file in NOTEBOOKS:
        notebook = executed(file)
        nbformat.write(notebook, file)
        text, pictures = page(file.stem, notebook)
        for old in FOLDER.glob(f"{file.stem}-*.png"):
            old.unlink()
        for name, content in pictures.items():
            (FOLDER / name).write_bytes(content)
        (FOLDER / f"{file.stem}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
