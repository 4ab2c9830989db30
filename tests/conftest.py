"""What every test shares: a clean environment, and in CI no test that is skipped."""

import os
from importlib.util import find_spec

import pytest

# The agent's tests run where the service's libraries are not installed.
pytest_plugins = ["tests.fixtures.controllers", *(["tests.fixtures.postgres"] if find_spec("psycopg_pool") else [])]

# A machine's own certificate bundles and proxies would decide what TLS tests trust and where loopback traffic goes.
MACHINE_SETTINGS = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LDAPCONF",
    "LDAPRC",
    "LDAPTLS_CACERT",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "PGSERVICE",
    "PGOPTIONS",
    *(f"{kind}_proxy" for kind in ("http", "https", "all")),
    *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL")),
)
for name in [*MACHINE_SETTINGS, *(name for name in os.environ if name.startswith("DIRBRIDGE_"))]:
    os.environ.pop(name, None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name each test's group where xdist looks for it: it writes that itself, to where pytest no longer reads.

    Source: pytest-xdist issue 1386. Without it, tests that share an expensive part go to any process.
    """
    for item in items if config.getoption("loadgroup", default=False) else ():
        groups = "_".join(sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")}))
        if groups and not item.nodeid.endswith(f"@{groups}"):
            item._id = type(item.id).parse(f"{item.nodeid}@{groups}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("\nCI: tests were skipped, and none may be.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
