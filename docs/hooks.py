"""What mkdocs does beside its plug-ins to build the docs site (``make docs``).

The pages are written to be right in a repository: they link to files that lie outside ``docs``, and
some pages of the site lie there themselves. Here these files become pages, and links to others
become links to copies (pictures and web pages) or plain names.
"""
# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "results/README.md": "stored-results.md",
}
"""Pages of the site that lie outside ``docs``, by their paths in the repository."""

STAND_INS = {"README.md": "index.md"}
"""Files that are no pages, and the page that says the same."""

COPIED = {".png", ".jpg", ".svg", ".html", ".cff"}
"""What is copied into the site where a page links to it."""

LINK = re.compile(r"(?P<before>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
SHORT_CODE = re.compile(r"<code>([^<]{1,34})</code>")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside ``docs``."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(root_of(config) / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page whose links lead to something in the site."""
    pages = {name: source for source, name in OUTSIDE.items()}
    here = page.file.src_uri
    source = pages.get(here, f"docs/{here}")

    def led(match: re.Match[str]) -> str:
        return link_in_site(match, source, here, config, files)

    # Every second part is code, in which nothing is a link.
    parts = FENCE.split(markdown)
    if page.is_homepage:
        # Its place in the navigation is the row of tabs above it.
        page.meta["hide"] = ["navigation"]
    return "".join(part if i % 2 else LINK.sub(led, part) for i, part in enumerate(parts))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page in which code that fits into a line of a phone is marked as such."""
    del page, config, files
    return SHORT_CODE.sub(r'<code class="short">\g<1></code>', html)


def link_in_site(
    match: re.Match[str], source: str, here: str, config: MkDocsConfig, files: Files
) -> str:
    """Return a link as it must be in the site, or plain text if there is nothing to link to.

    Args:
        match: The link.
        source: The page's file, from the root of the repository.
        here: The page in the site.
        config: The configuration of the site.
        files: The files of the site; a copied file is added to them.
    """
    path, mark, anchor = match["target"].partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return match[0]
    found = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    text = match["text"]
    if text in {path, posixpath.basename(path)} and path.endswith(".md"):
        # In a site pages are called by their titles, not by their files.
        text = title_of(root_of(config) / found)
    if (root_of(config) / found / "README.md").is_file():
        found = f"{found}/README.md"
    if found.startswith("docs/"):
        there = found.removeprefix("docs/")
    elif found in OUTSIDE or found in STAND_INS:
        there = (OUTSIDE | STAND_INS)[found]
    elif posixpath.splitext(found)[1] in COPIED:
        there = copied(found, config, files)
    else:
        return named(match["text"], found)
    there = posixpath.relpath(there, posixpath.dirname(here))
    return f"{match['before']}[{text}]({there}{mark}{anchor})"


def title_of(page: Path) -> str:
    """Return the first heading of a page."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), page.name)


def copied(source: str, config: MkDocsConfig, files: Files) -> str:
    """Return where a file of the repository lies in the site, to which it is added."""
    there = f"repository/{source}"
    if there not in files.src_uris:
        files.append(File.generated(config, there, abs_src_path=str(root_of(config) / source)))
    return there


def named(text: str, path: str) -> str:
    """Return the text of a link to a file that the site does not hold, with the file's path."""
    if path.endswith(text):
        return f"`{path}`"
    return text if path in text else f"{text} (`{path}`)"


def on_post_build(config: MkDocsConfig) -> None:
    """Put the sources of the pages beside them, so that the links of llms.txt hold in the site."""
    site = Path(config.site_dir)
    for page in Path(config.docs_dir).rglob("*.md"):
        shutil.copyfile(page, site / page.relative_to(config.docs_dir))
    index = (site / "llms.txt").read_text(encoding="utf-8")
    for source, page in OUTSIDE.items():
        shutil.copyfile(root_of(config) / source, site / page)
        index = index.replace(f"(../{source})", f"({page})")
    (site / "llms.txt").write_text(index, encoding="utf-8")
    for unused in ("sitemap.xml", "sitemap.xml.gz", "404.html"):
        # They are for servers, and hold no relative addresses.
        (site / unused).unlink(missing_ok=True)


def root_of(config: MkDocsConfig) -> Path:
    """Return the root of the repository."""
    return Path(config.docs_dir).parent
