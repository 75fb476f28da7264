"""Hands a task over to `cargo xtask`, which holds all of the logic."""

import subprocess
from pathlib import Path

import angreal


def xtask(*words):
    """Runs `cargo xtask WORDS` at the root of the project, leaving words out that were not given; returns its exit code."""
    root = Path(angreal.get_root()).parent
    given = [word for word in words if word is not None]
    return subprocess.run(["cargo", "xtask", *given], cwd=root, check=False).returncode
