"""The cgroup v2 machine: Debian 12's cloud kernel under qemu, without KVM, without a network.

Three disks: the root (cached by a hash of what it is made from, writes are thrown away), the
payload (what is tested, made anew each time, read-only), and the results (a bare tar).
"""

import hashlib
import inspect
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
KERNEL_PACKAGE = "linux-image-cloud-amd64"
SUITE = "bookworm"
# What Croft's binaries are linked with, what its tests run on, and what a host would have.
PACKAGES = (
    "acl btrfs-progs busybox-static ca-certificates e2fsprogs iperf3 iproute2 kmod libarchive13 "
    "libcap2 libcmocka0 libcurl4 libevent-2.1-7 libevent-core-2.1-7 libevent-extra-2.1-7 "
    "libevent-openssl-2.1-7 libevent-pthreads-2.1-7 libjansson4 libmnl0 libnftables1 "
    "libnghttp2-14 libprotobuf-c1 libseccomp2 libsmartcols1 libsqlite3-0 libssl3 lxcfs nftables "
    "procps python3-grpcio python3-h2 python3-protobuf python3-pytest tar util-linux xfsprogs "
    "xz-utils zstd"
).split()
ROOT_DISK_BYTES = 12 << 30
RESULTS_BYTES = 64 << 20
MEMORY_MIB = 2048
CPUS = 2


class MachineError(Exception):
    pass


def _run(command, **kwargs):
    run = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        **kwargs,
    )
    if run.returncode != 0:
        output = run.stdout.decode(errors="replace")
        raise MachineError(f"{' '.join(command)}: status {run.returncode}\n{output}")
    return run.stdout.decode(errors="replace")


def _sparse_file(path, size):
    with open(path, "wb") as f:
        f.truncate(size)


def _make_ext4(tree, image, size):
    _sparse_file(image, size)
    _run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1",
          "-d", tree, image])


def _kernel_package_name():
    depends = _run(["apt-cache", "depends", KERNEL_PACKAGE])
    m = re.search(r"Depends: (linux-image-\S+)", depends)
    if not m:
        raise MachineError(f"{KERNEL_PACKAGE} is not in the package lists")
    return m.group(1)


def _unpack_kernel(deb, directory):
    _run(["dpkg", "-x", deb, directory])
    _run(["depmod", "-b", directory, kernel_version(directory)])


def _fetch_kernel(directory):
    """Downloads and unpacks the kernel package; nothing of it is installed on the host."""
    try:
        package = _kernel_package_name()
    except MachineError:
        _run(["apt-get", "-qq", "update"])
        package = _kernel_package_name()
    download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package]
    try:
        _run(download, cwd=directory)
    except MachineError:  # the lists may name a version that has been replaced
        _run(["apt-get", "-qq", "update"])
        _run(download, cwd=directory)
    deb = os.path.join(directory, next(f for f in os.listdir(directory) if f.endswith(".deb")))
    _unpack_kernel(deb, directory)
    os.unlink(deb)


def kernel_version(directory):
    return os.listdir(os.path.join(directory, "lib", "modules"))[0]


def kernel(cache, deb=None):
    """The unpacked kernel package: `deb`, or fetched when it is not there."""
    directory = os.path.join(cache, "kernel")
    if not os.path.isdir(directory):
        os.makedirs(cache, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as tmp:
            if deb:
                _unpack_kernel(deb, tmp)
            else:
                _fetch_kernel(tmp)
            os.chmod(tmp, 0o755)
            os.rename(tmp, directory)
            os.mkdir(tmp)  # for TemporaryDirectory to remove
    return directory


def _initramfs(cache, kernel_dir):
    """A cpio of busybox, the disks' drivers in the order in which they depend, and the script."""
    version = kernel_version(kernel_dir)
    with tempfile.TemporaryDirectory(dir=cache) as tmp:
        os.makedirs(os.path.join(tmp, "bin"))
        os.makedirs(os.path.join(tmp, "modules"))
        shutil.copy("/bin/busybox", os.path.join(tmp, "bin", "busybox"))
        shutil.copy(os.path.join(HERE, "initramfs-init"), os.path.join(tmp, "init"))
        modules = []
        for name in ("virtio_pci", "virtio_blk", "ext4"):
            lines = _run(["modprobe", "-d", kernel_dir, "-S", version, "--show-depends", name])
            for line in lines.splitlines():
                if line.startswith("insmod ") and line.split()[1] not in modules:
                    modules.append(line.split()[1])
        for i, path in enumerate(modules):
            name = f"{i:02d}-{os.path.basename(path)}"
            target = os.path.join(tmp, "modules", name)
            shutil.copy(path, target)
            if path.endswith(".xz"):
                _run(["xz", "-d", target])
        image = os.path.join(cache, "initramfs.cpio")
        new = os.path.join(cache, os.path.basename(tmp) + ".cpio")
        names = subprocess.run(
            ["find", "."], cwd=tmp, check=True, stdout=subprocess.PIPE
        ).stdout
        with open(new, "wb") as out:
            subprocess.run(
                ["busybox", "cpio", "-o", "-H", "newc"], cwd=tmp, input=names, stdout=out,
                stderr=subprocess.DEVNULL, check=True,
            )
        os.rename(new, image)
    return image


def _root_key(kernel_dir):
    what = hashlib.sha256()
    for part in (SUITE, *PACKAGES, kernel_version(kernel_dir), str(ROOT_DISK_BYTES)):
        what.update(part.encode() + b"\0")
    for function in (root_disk, _make_ext4):
        what.update(inspect.getsource(function).encode())
    return what.hexdigest()[:16]


def root_disk(cache, kernel_dir):
    """The root disk, made by mmdebstrap when what it is made from has changed."""
    image = os.path.join(cache, f"root-{_root_key(kernel_dir)}.ext4")
    if os.path.isfile(image):
        return image
    for old in os.listdir(cache):
        if old.startswith("root-"):
            os.unlink(os.path.join(cache, old))
    print("vm: making the root disk (once)", flush=True)
    with tempfile.TemporaryDirectory(dir=cache) as tmp:
        tree = os.path.join(tmp, "tree")
        _run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
             f"--include={','.join(PACKAGES)}",
             "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
             "--dpkgopt=path-exclude=/usr/share/locale/*", SUITE, tree]
        )
        version = kernel_version(kernel_dir)
        shutil.copytree(
            os.path.join(kernel_dir, "lib", "modules", version),
            os.path.join(tree, "lib", "modules", version), symlinks=True,
        )
        os.mkdir(os.path.join(tree, "payload"))
        _make_ext4(tree, os.path.join(tmp, "root.ext4"), ROOT_DISK_BYTES)
        os.rename(os.path.join(tmp, "root.ext4"), image)
    return image


def prepare(cache, deb=None):
    """Everything that is kept between runs. deb: a kernel package other than Debian 12's."""
    os.makedirs(cache, exist_ok=True)
    kernel_dir = kernel(cache, deb)
    return {
        "kernel": os.path.join(kernel_dir, "boot", f"vmlinuz-{kernel_version(kernel_dir)}"),
        "initramfs": _initramfs(cache, kernel_dir),
        "root": root_disk(cache, kernel_dir),
        # The emulator spoils the flags of cmpxchg16b, by which later kernels allocate memory; to do
        # without takes longer.
        "cpu": "max,-cx16" if deb else "max",
    }


def make_payload(directory, files, command, extra=()):
    """The payload disk: `files` at the paths that they have here, and the command to run.

    files: absolute path of a bind mount -> iterable of files below it. extra: files for /payload.
    """
    tree = os.path.join(directory, "payload")
    for top, paths in files.items():
        for path in paths:
            target = f"{tree}/tree{path}"
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(path, target, follow_symlinks=False)
        os.makedirs(f"{tree}/tree{top}", exist_ok=True)
    for path in (os.path.join(HERE, "guest-init"), *extra):
        shutil.copy(path, os.path.join(tree, os.path.basename(path)))
    with open(os.path.join(tree, "paths"), "w", encoding="utf-8") as f:
        f.writelines(f"{top}\n" for top in files)
    with open(os.path.join(tree, "command"), "w", encoding="utf-8") as f:
        f.write(command)
    used = int(_run(["du", "-sk", "--apparent-size", tree]).split()[0])
    image = os.path.join(directory, "payload.ext4")
    _make_ext4(tree, image, (used + used // 4 + 32768) * 1024)
    shutil.rmtree(tree)
    return image


def _qemu(parts, payload, results, console, part):
    drive = "if=virtio,format=raw,cache=unsafe"
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-accel", "tcg,thread=single", "-cpu", parts["cpu"], "-smp", str(CPUS),
        "-m", str(MEMORY_MIB),
        "-kernel", parts["kernel"], "-initrd", parts["initramfs"],
        # no_timer_check: on a busy host the emulated one comes late, which would be a panic.
        "-append", "console=ttyS0 loglevel=5 panic=-1 no_timer_check random.trust_cpu=on"
        f" mitigations=off croft.part={part}",
        "-drive", f"{drive},snapshot=on,file={parts['root']}",
        "-drive", f"{drive},readonly=on,file={payload}",
        "-drive", f"{drive},file={results}",
        "-serial", f"file:{console}", "-serial", "stdio",
    ]


def _read_results(path, into):
    """Unpacks what the machine left; only plain files, by their base name."""
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    name = os.path.basename(member.name)
                    with open(os.path.join(into, name), "wb") as f:
                        f.write(tar.extractfile(member).read())
    except tarfile.TarError:
        return None
    try:
        with open(os.path.join(into, "status"), encoding="ascii") as f:
            return int(f.read())
    except (OSError, ValueError):
        return None


def boot(parts, payload, work, timeout, on_output, part=""):
    """Runs the machine until it powers off or the time is over. part: of the tests (share.py).

    What the command prints goes to on_output as it comes, in bytes. Returns the command's status,
    or None when there is none; its results are then files in `work`/results.
    """
    results_disk = os.path.join(work, "results.raw")
    results = os.path.join(work, "results")
    console = os.path.join(work, "console.log")
    os.makedirs(results, exist_ok=True)
    _sparse_file(results_disk, RESULTS_BYTES)
    qemu = subprocess.Popen(
        _qemu(parts, payload, results_disk, console, part), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=work,
        # qemu keeps what the machine writes to its root disk in a file of its own here.
        env={**os.environ, "TMPDIR": work},
    )
    timer = threading.Timer(timeout, qemu.kill)
    timer.start()
    try:
        while chunk := qemu.stdout.read1(4096):
            on_output(chunk.replace(b"\r", b""))
        qemu.wait()
        timed_out = not timer.is_alive()
    finally:
        timer.cancel()
        if qemu.poll() is None:
            qemu.kill()
            qemu.wait()
    if timed_out:
        on_output(f"vm: not done after {timeout} s\n".encode())
        return None
    return _read_results(results_disk, results)
