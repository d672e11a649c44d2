"""pytest's fixtures for tests that need a daemon; conftest.py of each folder imports them."""

import os

import pytest

import leaks
from croft_harness import BUILD, IMAGES, SLOWNESS, Daemon

LEAK_SECONDS = 10


def pytest_configure(config):
    config.addinivalue_line("markers", "vm: also runs in the cgroup v2 machine (tests/vm)")


@pytest.fixture(scope="session")
def schema():
    import api

    return api.Schema(os.path.join(BUILD, "proto", "croft.desc"))


def _needs_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


def _end(daemon):
    """Shuts an instance down in order, says what it left, and removes it whatever happened."""
    left, failure = [], None
    try:
        try:
            if daemon.revive():
                daemon.kill_all()
                daemon.shutdown()
        except AssertionError as e:
            failure = e
        left = leaks.wait_for_no_more_than(daemon, leaks.NOTHING, LEAK_SECONDS * SLOWNESS)
        log = daemon.read_log()
    finally:
        daemon.finish()
    if failure:
        raise AssertionError(f"the instance did not shut down: {failure}\n{log[-3000:]}")
    assert not left, "left behind after host shutdown:\n  " + "\n  ".join(left)


@pytest.fixture
def bare_daemon(schema):
    """An instance that the test starts, and may leave in any state that host shutdown ends."""
    _needs_root()
    daemon = Daemon(schema)
    yield daemon
    _end(daemon)


@pytest.fixture
def daemon(bare_daemon):
    """A running instance without anything in it, of this test alone."""
    bare_daemon.start()
    return bare_daemon


@pytest.fixture
def box(daemon):
    """A running instance with the image busybox."""
    daemon.busybox()
    return daemon


@pytest.fixture(scope="module")
def module_daemon(schema):
    """A running instance with the image busybox, for all tests of a module."""
    _needs_root()
    daemon = Daemon(schema)
    try:
        daemon.start()
        daemon.busybox()
    except BaseException:
        daemon.finish()
        raise
    yield daemon
    _end(daemon)


@pytest.fixture
def shared(module_daemon):
    """The module's instance; the test must leave in it, and of the host, what it found."""
    before = leaks.Holdings.look(module_daemon)
    tenants = module_daemon.ok("-o", "csv", "tenant", "list")
    containers = module_daemon.ok("-o", "csv", "list")
    yield module_daemon
    left = leaks.wait_for_no_more_than(module_daemon, before, LEAK_SECONDS * SLOWNESS)
    assert not left, "left behind:\n  " + "\n  ".join(left)
    assert module_daemon.ok("-o", "csv", "tenant", "list") == tenants
    assert module_daemon.ok("-o", "csv", "list") == containers


@pytest.fixture(scope="session")
def debian_image():
    """A Debian 12 root file system with systemd, as a tar."""
    path = os.path.join(IMAGES, "debian12.tar.zst")
    if not os.path.isfile(path):
        pytest.skip("build/images/debian12.tar.zst is not there; make images")
    return path
