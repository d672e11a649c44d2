"""Debian 12 with its own cloud-init package: what a container is given is what its first boot makes
of it (cloud_boot.py), and a boot that is given nothing goes as without Croft."""

from cloud_boot import boot_that_is_given_nothing, first_boot_and_those_after_it, import_image
from networked import kept, lab  # noqa: F401


def test_first_boot_and_those_after_it(box, tmp_path):
    import_image(box, "cloud")
    first_boot_and_those_after_it(box, "cloud", tmp_path)
    boot_that_is_given_nothing(box, "cloud")
