"""Image archives made to hurt: layers, manifests and configs that lie. Beside hostile_tars.py,
which writes these too; see there for what EXPECTED means.
"""

import gzip
import hashlib
import subprocess

from hostile_tars import (INVALID, MAX_BYTES, MAX_ENTRIES, OK, TOO_LARGE, Case, directory, entry,
                          hardlink, raw_header, symlink, tar, zeros)
from image_archives import Layout, config_of, docker, oci, packed, squeezed

AMBIGUOUS = "IMAGE_AMBIGUOUS"

CASES: list[Case] = []


def case(expected):
    def register(build):
        CASES.append(Case("image_" + build.__name__, expected, build))
        return build

    return register


ESCAPE = entry("out/croft-escape", b"x")
CONFIG = "a" * 64 + ".json"
LAYER = "b" * 64 + ".tar"
BASE = tar(directory("etc"), entry("etc/hostname", b"croft\n"))


# --- whiteouts -----------------------------------------------------------------------------


@case(INVALID)
def whiteout_of_nothing():
    return oci(BASE, tar(entry(".wh.")))


@case(INVALID)
def whiteout_of_dot():
    return oci(BASE, tar(entry("etc/.wh..")))


@case(INVALID)
def whiteout_of_dotdot():
    return oci(BASE, tar(entry("etc/.wh...")))


@case(INVALID)
def whiteout_upwards():
    return oci(BASE, tar(entry("../../.wh.tmp")))


@case(INVALID)
def whiteout_in_the_middle():
    return oci(BASE, tar(entry("etc/../../.wh.tmp")))


@case(OK)
def whiteout_through_a_link():
    """Resolved in the image's root, as everything is: the host's /tmp stays."""
    return oci(tar(symlink("out", "/tmp"), directory("tmp"), entry("tmp/x", b"x")),
               tar(entry("out/.wh.x"), entry("out/.wh..wh..opq")))


@case(OK)
def whiteout_of_what_is_not_there():
    return oci(BASE, tar(entry("no/where/.wh.x"), entry("etc/hostname/.wh.x")))


@case(OK)
def whiteout_of_a_deep_tree():
    return oci(tar(directory("d"), entry("d/" + "/".join(["e"] * 200) + "/f", b"x")),
               tar(entry(".wh.d"), entry("kept", b"x")))


@case(OK)
def whiteouts_hide_lower_layers_only():
    """Wherever they stand in their own layer, and with names of aufs in it."""
    return oci(tar(directory("d"), entry("d/old", b"1"), entry("f", b"1"), entry("gone", b"1")),
               tar(directory("d"), entry("d/new", b"2"), entry("d/.wh..wh..opq"),
                   entry("f", b"2"), entry(".wh.f"), entry(".wh.gone"),
                   directory(".wh..wh.plnk"), entry(".wh..wh.aufs")))


@case(OK)
def opaque_root():
    return oci(tar(directory("d"), entry("d/x", b"x"), entry("f", b"x")),
               tar(entry(".wh..wh..opq"), entry("new", b"x")))


# --- layers that work together -------------------------------------------------------------


@case(OK)
def link_below_and_file_through_it():
    return oci(tar(symlink("out", "/tmp"), directory("tmp")), tar(ESCAPE))


@case(OK)
def link_upwards_and_file_through_it():
    return docker(tar(symlink("out", "../../../../tmp"), directory("tmp")), tar(ESCAPE))


@case(OK)
def hard_link_to_a_lower_layer():
    return oci(tar(entry("a", b"lower")), tar(hardlink("b", "a")), tar(entry("a", b"upper")))


@case(INVALID)
def hard_link_to_what_a_whiteout_took():
    return oci(tar(entry("a", b"lower")), tar(hardlink("b", "a"), entry(".wh.a")))


@case(INVALID)
def hard_link_out_of_a_layer():
    return oci(BASE, tar(hardlink("passwd", "../../../etc/passwd")))


@case(OK)
def directories_and_files_swap():
    return oci(tar(directory("d"), entry("d/x", b"x"), entry("f", b"file")),
               tar(entry("d", b"a file now"), directory("f"), entry("f/x", b"x")),
               tar(symlink("d", "f"), entry("d/y", b"through the link")))


@case(OK)
def link_replaced_below_a_parent_that_was_looked_up():
    return oci(tar(directory("a"), symlink("a/l", "/a")),
               tar(entry("a/l/x", b"1"), entry("a/l/l", b"2"), entry("a/l2/y", b"3")))


# --- what does not fit together ------------------------------------------------------------


@case(INVALID)
def digest_of_a_blob():
    layout = Layout()
    layout.image([BASE])
    name = next(name for name, data in layout.blobs.items() if data[:2] == b"\x1f\x8b")
    layout.blobs[name] = gzip.compress(tar(entry("etc/hostname", b"other\n")))
    return layout.pack()


@case(INVALID)
def digest_of_the_contents():
    return oci(BASE, config=config_of([tar(entry("x", b"x"))]))


@case(INVALID)
def digest_of_a_dockers_layer():
    return docker(BASE, config=config_of([tar(entry("x", b"x"))]))


@case(INVALID)
def digest_of_a_dockers_config():
    config = packed(config_of([BASE]))
    return tar(entry("0" * 64 + ".json", config), entry("1" * 64 + "/layer.tar", BASE),
               entry("manifest.json", packed([{"Config": "0" * 64 + ".json", "RepoTags": None,
                                               "Layers": ["1" * 64 + "/layer.tar"]}])))


@case(INVALID)
def size_of_a_blob():
    layout = Layout()
    layout.image([BASE])["size"] += 1
    return layout.pack()


@case(INVALID)
def size_is_negative():
    layout = Layout()
    layout.image([BASE])["size"] = -1
    return layout.pack()


@case(INVALID)
def missing_layer():
    return docker(BASE, manifest=[{"Config": CONFIG, "RepoTags": [], "Layers": ["b/layer.tar"]}],
                  more=[entry(CONFIG, packed(config_of([BASE])))])


@case(INVALID)
def missing_blob():
    layout = Layout()
    layout.image([BASE])
    layout.blobs.popitem()
    return layout.pack()


@case(INVALID)
def layer_named_outside():
    return docker(BASE, manifest=[{"Config": CONFIG, "Layers": ["../../../etc/passwd"]}],
                  more=[entry(CONFIG, packed(config_of([BASE])))])


@case(INVALID)
def layer_is_a_link_outside():
    return docker(manifest=[{"Config": CONFIG, "Layers": [LAYER]}],
                  more=[entry(CONFIG, packed(config_of([BASE]))),
                        symlink(LAYER, "/etc/passwd")])


@case(INVALID)
def layer_is_a_loop_of_links():
    return docker(manifest=[{"Config": CONFIG, "Layers": [LAYER]}],
                  more=[entry(CONFIG, packed(config_of([BASE]))),
                        symlink(LAYER, "m.tar"), symlink("m.tar", LAYER)])


@case(INVALID)
def digest_of_another_kind():
    layout = Layout()
    layout.image([BASE])["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e"
    return layout.pack()


@case(INVALID)
def digest_that_is_a_path():
    layout = Layout()
    layout.image([BASE])["digest"] = "sha256:../../../../../../../../etc/passwd"
    return layout.pack()


@case(INVALID)
def fewer_diff_ids_than_layers():
    return oci(BASE, BASE, config=config_of([BASE]))


@case(INVALID)
def another_architecture():
    return oci(BASE, config=config_of([BASE], architecture="s390x"))


@case(INVALID)
def another_system():
    return docker(BASE, config=config_of([BASE], os="windows"))


@case(INVALID)
def twice_the_same_manifest():
    return docker(BASE, more=[entry("manifest.json", b"[]")])


@case(INVALID)
def no_manifest():
    return tar(directory("blobs"), entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'))


@case(INVALID)
def no_images():
    return docker(manifest=b"[]", more=[entry(CONFIG, b"{}")])


@case(AMBIGUOUS)
def two_images():
    one = packed(config_of([]))
    return docker(manifest=[{"Config": CONFIG, "RepoTags": [f"app:{i}\x1b[31m"], "Layers": []}
                            for i in range(50)], more=[entry(CONFIG, one)])


@case(INVALID)
def index_that_leads_to_itself_in_depth():
    layout = Layout()
    layout.image([BASE])
    for _ in range(10):
        index = packed({"schemaVersion": 2, "manifests": layout.manifests})
        layout.manifests = [layout.blob(index, "index.v1+json")]
    return layout.pack()


@case(INVALID)
def indexes_in_breadth():
    layout = Layout()
    layout.image([BASE])
    for _ in range(3):
        index = packed({"schemaVersion": 2, "manifests": layout.manifests})
        layout.manifests = [layout.blob(index, "index.v1+json")] * 100
    return layout.pack()


# --- documents -----------------------------------------------------------------------------


@case(INVALID)
def deep_config():
    return oci(BASE, config=b'{"a":' * 100_000 + b"1" + b"}" * 100_000)


@case(INVALID)
def deep_manifest():
    return docker(BASE, manifest=b"[" * 1_000_000)


@case(INVALID)
def history_of_a_million():
    text = packed(config_of([BASE]))
    return oci(BASE, config=text[:-1] + b', "history": [' + b"{}," * 1_000_000 + b"{}]}")


@case(OK)
def keys_of_all_kinds():
    return oci(BASE, config=config_of([BASE], **{f"k{i}": {} for i in range(20_000)}))


@case(INVALID)
def manifest_of_numbers():
    return docker(BASE, manifest=b"[1, 2, 3]")


@case(INVALID)
def config_of_nulls():
    return oci(BASE, config={"architecture": None, "rootfs": None, "config": None})


@case(INVALID)
def repeated_key():
    text = packed(config_of([BASE]))
    return oci(BASE, config=text[:-1] + b', "os": "linux"}')


@case(INVALID)
def nul_in_a_string():
    return oci(BASE, run={"Cmd": ["/bin/sh\0x"]})


@case(INVALID)
def command_of_numbers():
    return oci(BASE, run={"Cmd": [1, 2]})


@case(INVALID)
def command_that_is_empty():
    return oci(BASE, run={"Entrypoint": [""]})


@case(INVALID)
def too_many_arguments():
    return oci(BASE, run={"Cmd": ["x"] * 65})


@case(INVALID)
def too_large_an_environment():
    return oci(BASE, run={"Cmd": ["/x"], "Env": ["A=" + "x" * 20_000]})


@case(INVALID)
def signal_that_is_none():
    return oci(BASE, run={"Cmd": ["/x"], "StopSignal": "SIGNOTHING"})


@case(OK)
def odd_config():
    return oci(BASE, run={"Cmd": ["/x", "new\nline"], "Env": ["A=1\x1b", "no value", "=x", "B="],
                          "WorkingDir": "../../tmp/croft-escape", "User": "0:0",
                          "StopSignal": "SIGRTMIN+3"})


# --- bombs ---------------------------------------------------------------------------------


@case(TOO_LARGE)
def layer_bomb():
    return oci(zeros(64 << 20))


def zstd(data):
    return subprocess.run(["zstd", "-q"], input=data, stdout=subprocess.PIPE, check=True).stdout


@case(TOO_LARGE)
def layer_bomb_in_zstd():
    return oci(zeros(64 << 20), squeeze=zstd)


@case(TOO_LARGE)
def headers_bomb():
    """Decompresses to nothing but headers of whiteouts, which make no entry."""
    return oci(raw_header(b".wh.x") * (1 << 18), squeeze=zstd)


@case(TOO_LARGE)
def layers_add_up():
    big = tar(entry("f", bytes(8 << 20)))
    return oci(*[big] * 10)


@case(TOO_LARGE)
def entries_add_up():
    many = tar(*[entry(f"f{i}") for i in range(MAX_ENTRIES // 4)])
    return oci(*[many] * 5)


@case(TOO_LARGE)
def archive_larger_than_an_image():
    return gzip.compress(docker(zeros(MAX_BYTES + (1 << 20))))


@case(INVALID)
def ten_thousand_layers():
    return oci(*[BASE] * 10_000)


@case(INVALID)
def ten_thousand_files():
    return tar(*[entry(f"blobs/sha256/{i:064x}") for i in range(10_000)])


@case(TOO_LARGE)
def sparse_part():
    return tar(entry("manifest.json", b"x" * 512, pax_headers={
        "GNU.sparse.size": str(1 << 40), "GNU.sparse.numblocks": "1",
        "GNU.sparse.map": "0,512"}))


@case(INVALID)
def layer_compressed_twice():
    return oci(BASE, squeeze=lambda data: gzip.compress(gzip.compress(data)))


@case(INVALID)
def layer_cut_short():
    return oci(BASE, squeeze=lambda data: gzip.compress(data)[:-20])


@case(INVALID)
def layer_of_garbage():
    return oci(b"this is no tar" * 1000)


@case(INVALID)
def archive_cut_short():
    return oci(BASE)[:-4096]


@case(OK)
def layers_of_nothing():
    return oci(BASE, bytes(1024), bytes(10240))


# --- LXD -----------------------------------------------------------------------------------

METADATA = entry("metadata.yaml", b"architecture: x86_64\ncreation_date: 1\n")


@case(OK)
def lxd_unified():
    return tar(METADATA, directory("rootfs", mode=0o750), directory("rootfs/etc"),
               entry("rootfs/etc/hostname", b"x"), hardlink("rootfs/etc/h", "rootfs/etc/hostname"),
               directory("templates"), entry("templates/hosts.tpl", b"x"))


@case(INVALID)
def lxd_metadata_alone():
    return tar(METADATA, directory("templates"))


@case(INVALID)
def lxd_without_metadata():
    return tar(directory("rootfs"), entry("rootfs/x", b"x"))


@case(INVALID)
def lxd_with_more():
    return tar(METADATA, directory("rootfs"), entry("etc/passwd", b"x"))


@case(INVALID)
def lxd_machine():
    return tar(METADATA, entry("rootfs.img", b"x"))


@case(INVALID)
def lxd_link_to_its_metadata():
    return tar(METADATA, directory("rootfs"), hardlink("rootfs/m", "metadata.yaml"))


@case(OK)
def lxd_yaml_bomb():
    """Never read, so it cannot hurt."""
    bomb = b"a: &a [x]\n" + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9))
                                     for c in range(ord("b"), ord("z")))
    return tar(entry("metadata.yaml", bomb), directory("rootfs"), entry("rootfs/x", b"x"))


def split(metadata, rootfs):
    return tar(entry("croft.split/metadata", metadata), entry("croft.split/rootfs", rootfs))


@case(OK)
def lxd_split():
    return split(gzip.compress(tar(METADATA)), gzip.compress(BASE))


@case(INVALID)
def lxd_split_without_metadata():
    return split(BASE, BASE)


@case(INVALID)
def lxd_split_with_two_systems():
    return split(tar(METADATA, directory("rootfs")), BASE)


@case(INVALID)
def lxd_split_that_ends():
    return tar(entry("croft.split/metadata", tar(METADATA)))


@case(INVALID)
def lxd_split_cut_short():
    return split(tar(METADATA), BASE[:1024])


@case(TOO_LARGE)
def lxd_split_bomb():
    return split(tar(METADATA), squeezed(zeros(64 << 20)))


@case(INVALID)
def lxd_split_squashfs():
    return split(tar(METADATA), b"hsqs" + bytes(4096))



# --- exports (docs/EXPORT-FORMAT.md) ---------------------------------------------------------

DAMAGED = "EXPORT_DAMAGED"
EXPORT_BEGIN = b"\x5e\x2a\x4d\x18\x10\0\0\0croft-export 1\n\0"
EXPORT_END = b"\x5e\x2a\x4d\x18\x20\0\0\0"


def export(data, begin=EXPORT_BEGIN):
    body = begin + zstd(data)
    return body + EXPORT_END + hashlib.sha256(body).digest()


@case(OK)
def export_whole():
    return export(BASE)


@case(DAMAGED)
def export_without_its_end():
    """What is taken for the end is held back, and zstd misses it."""
    return export(BASE)[:-40]


@case(DAMAGED)
def export_with_the_end_of_another():
    return export(BASE)[:-40] + export(tar(directory("etc")))[-40:]


@case(DAMAGED)
def export_with_more_behind():
    return export(BASE) + bytes(40)


@case(DAMAGED)
def export_twice():
    return export(BASE) + export(BASE)


@case(DAMAGED)
def export_that_says_another_sum_is_meant():
    """The frame of the checksum holds something else than the sum, and is skipped by zstd."""
    return EXPORT_BEGIN + zstd(BASE) + b"\x50\x2a\x4d\x18\x20\0\0\0" + bytes(32)


@case(DAMAGED)
def export_of_nothing():
    return export(b"", EXPORT_BEGIN)


@case(INVALID)
def export_that_leads_out():
    return export(tar(ESCAPE, entry("../croft-escape", b"x")))


@case(TOO_LARGE)
def export_bomb():
    return export(zeros(64 << 20))


@case(DAMAGED)
def export_of_a_later_version():
    return export(BASE, EXPORT_BEGIN.replace(b"1", b"9"))


@case(DAMAGED)
def export_whose_beginning_is_another_frame():
    """One bit, and zstd would pass over it as over any such frame."""
    return export(BASE, b"\x5f" + EXPORT_BEGIN[1:])


@case(OK)
def pzstds_beginning_is_none():
    return b"\x50\x2a\x4d\x18\x04\0\0\0" + bytes(4) + zstd(BASE)
