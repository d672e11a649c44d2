"""Debian 13 with its own cloud-init package, as Debian 12's boots with every `make test`."""

from cloud_boot import first_boot_and_those_after_it, import_image
from networked import kept, lab  # noqa: F401


def test_first_boot_and_those_after_it(box, tmp_path):
    import_image(box, "cloud13")
    first_boot_and_those_after_it(box, "cloud13", tmp_path)
