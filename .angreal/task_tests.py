"""`angreal tests ...`: the same as `cargo xtask test ...`."""

import angreal
from handover import xtask

tests = angreal.command_group(name="tests", about="Run tests, with a PostgreSQL of their own")


# Angreal takes positional arguments from the lowest decorator upwards.
@tests()
@angreal.command(name="integration", about="Run integration tests, of one crate when it is named")
@angreal.argument(name="filter", help="Only tests whose path contains this, such as work_orders")
@angreal.argument(name="crate", help="The crate, such as brokkr-broker")
def integration(crate=None, filter=None):
    return xtask("test", "integration", crate, filter)


@tests()
@angreal.command(name="unit", about="Run unit tests, of one crate when it is named")
@angreal.argument(name="filter", help="Only tests whose path contains this")
@angreal.argument(name="crate", help="The crate, such as brokkr-core")
def unit(crate=None, filter=None):
    return xtask("test", "unit", crate, filter)


@tests()
@angreal.command(name="all", about="Run every test")
def everything():
    return xtask("test")
