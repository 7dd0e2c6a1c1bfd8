"""Fixtures, and what is printed when a test fails."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import process  # noqa: E402
from harness.door import Door  # noqa: E402
from harness.place import Place  # noqa: E402
from harness.site import Site  # noqa: E402
from harness.stage import Stage  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "release: also runs on the release build, with the sandbox on")
    config.addinivalue_line("markers", "tsan: also runs on the ThreadSanitizer build")
    config.addinivalue_line("markers", "slow: takes long; runs with scripts/test --slow only")
    config.addinivalue_line("markers", "conforms(specification, section, what): proves a section (docs/conformance.md)")


def says_shards(item):
    """Whether a test says itself with how many shards it runs."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and ("shards" in callspec.params or "shard" in callspec.id)


def pytest_collection_modifyitems(config, items):
    """With two shards for the rest (tests/CMakeLists.txt), those have been run already."""
    if os.environ.get("POSTERN_TEST_SHARDS") != "2":
        return
    config.hook.pytest_deselected(items=[item for item in items if says_shards(item)])
    items[:] = [item for item in items if not says_shards(item)]


def pytest_sessionfinish(session, exitstatus):
    """A file of which nothing was left, by its marks or then, is no failure."""
    left_out = session.config.option.markexpr or os.environ.get("POSTERN_TEST_SHARDS")
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and left_out:
        session.exitstatus = pytest.ExitCode.OK


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Attach the end of every server's log to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in process.STARTED:
            report.sections.append((f"log of {server.name}", server.log_text()[-8000:]))


@pytest.fixture(scope="module")
def site():
    """A running deployment, shared by the tests of a file."""
    shared = Site()
    try:
        yield shared.start()
    finally:
        shared.stop()
        process.STARTED.clear()


@pytest.fixture
def own_site():
    """A maker of deployments for one test: own_site(gateway_extra=…, backend_extra=…), not started."""
    made = []

    def make(**arguments):
        made.append(Site(**arguments))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def backend_site(request):
    """A backend on its own, with one shard and with four, shared by the tests of a file; the file's BACKEND_EXTRA and
    HOST_EXTRA, if it has them, are in its configuration."""
    shared = Site(backend_extra=f"shards = {request.param}\nscram-iterations = 4096\n" + getattr(request.module, "BACKEND_EXTRA", ""),
                  host_extra=getattr(request.module, "HOST_EXTRA", ""))
    try:
        shared.backend.start()
        yield shared
    finally:
        shared.stop()
        process.STARTED.clear()


@pytest.fixture
def stage(backend_site):
    """Several clients of backend_site's at once: harness/stage.py."""
    with Stage(backend_site) as one:
        yield one


@pytest.fixture
def place():
    one = Place()
    yield one
    one.remove()


@pytest.fixture
def door():
    place, made = Place(), []

    def make(**arguments):
        made.append(Door(place, **arguments))
        return made[-1]

    yield make
    try:
        for one in made:
            one.stop()
    finally:
        for one in made:
            one.gateway.kill()
            one.nginx.kill()
    place.remove()
