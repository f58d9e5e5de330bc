"""Choose the migrations to lint: all of the project, those of apps or files, or what git has changed."""

import subprocess
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from django.db.migrations.loader import MigrationLoader

from ..conversion.source import is_installed, source_of


class UnknownSelection(Exception):
    """A word names no app and no migration."""


class GitFailed(Exception):
    """Git is missing, there is no repository, or it has no such revision."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The keys of the selected migrations.

    is_one_release: whether they are deployed together, as the changes of one branch are.
    """

    keys: frozenset[tuple[str, str]]
    is_one_release: bool

    @property
    def labels(self) -> set[str]:
        return {".".join(key) for key in self.keys}


def select(
    loader: MigrationLoader, words: Sequence[str], base: str | None, *, with_installed: bool
) -> Selection:
    """Return the migrations that the words name and that git has changed since the base.

    Without words and base, those are all of the project; with_installed adds those of installed packages.
    Migrations that a squash replaces are left out.

    words: labels of apps and paths of files. Files, as a base, make one release.
    Raise UnknownSelection or GitFailed.
    """
    nodes = loader.graph.nodes
    keys = {
        key: migration
        for key, migration in loader.disk_migrations.items()
        if key in nodes and (with_installed or not is_installed(migration))
    }
    apps = [word for word in words if word in loader.migrated_apps]
    named = [Path(word) for word in words if word not in apps]
    chosen = {key for key in keys if not apps or key[0] in apps} if apps or not named else set()
    # Only files are looked up by their places, which takes a moment for hundreds of migrations.
    needed = loader.disk_migrations.items() if named or base is not None else ()
    places = {source_of(each).resolve(): key for key, each in needed}
    chosen |= {_key_of(path, places) for path in named if path.name != "__init__.py"} & nodes.keys()
    if base is not None:
        changed = {places[path] for path in changed_files(base, Path.cwd()) if path in places}
        chosen &= changed
    return Selection(frozenset(chosen), is_one_release=bool(named) or base is not None)


def _key_of(path: Path, places: dict[Path, tuple[str, str]]) -> tuple[str, str]:
    found = places.get(path.resolve())
    if found is None:
        raise UnknownSelection(
            f"{str(path)!r} is neither an app with migrations nor the file of a migration of an installed app"
        )
    return found


def changed_files(base: str, folder: Path) -> Collection[Path]:
    """Return the files that differ from where the branch left the base, those that git does not know too.

    Raise GitFailed.
    """
    root = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    start = _revision(base, folder)
    asked: Iterable[Sequence[str]] = (
        ("diff", "--name-only", "--no-renames", "--diff-filter=d", "-z", start, "--"),
        ("ls-files", "--others", "--exclude-standard", "-z"),
    )
    names = {name for words in asked for name in _git(root, *words).split("\0") if name}
    return {(root / name).resolve() for name in names}


def _revision(base: str, folder: Path) -> str:
    """Return the commit at which the branch left the base."""
    try:
        found = _git(
            folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}"
        ).strip()
    except GitFailed:
        raise GitFailed(
            f"git has no revision {base!r} (fetch it first, and in CI fetch the whole history)"
        ) from None
    try:
        return _git(folder, "merge-base", found, "HEAD").strip()
    except GitFailed:
        raise GitFailed(
            f"git knows no commit that {base!r} and HEAD have in common (in CI, fetch the whole history)"
        ) from None


def _git(folder: Path, *words: str) -> str:
    program = which("git")
    if program is None:
        raise GitFailed("git is not installed (name the files in place of --diff)")
    done = subprocess.run(  # noqa: S603 - git itself, and no shell
        [program, "-C", str(folder), *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[:1] or [f"exit code {done.returncode}"]
        raise GitFailed(f"git {words[0]} failed: {reason[0]}")
    return done.stdout
