"""``docket completion``: the script by which a shell completes ``docket``."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from .options import choice, option

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")
Shell = Annotated[str, option(None, choice(*SHELLS))]


def completion(shell: Shell, /) -> None:
    """Print the script that completes commands and options of docket in a shell.

    For bash, put this line into ~/.bashrc: source <(docket completion bash). For zsh, write it to the file _docket in a
    folder of $fpath, for fish to ~/.config/fish/completions/docket.fish.

    Parameters
    ----------
    shell
        The shell: bash, zsh or fish.
    """
    from .app import docket_app

    print(docket_app().generate_completion(shell=cast("Literal['bash', 'zsh', 'fish']", shell)))
