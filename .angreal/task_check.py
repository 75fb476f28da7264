"""`angreal check`: the same as `cargo xtask check`."""

import angreal
from handover import xtask


@angreal.command(name="check", about="Check format, lints, documentation and house rules")
def check():
    return xtask("check")
