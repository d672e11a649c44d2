"""Images of an application in the making: an OCI layout, or what docker saves, out of tars.
Every part can be replaced by one that lies.
"""

import functools
import gzip
import hashlib
import json
import platform

from hostile_tars import directory, entry, tar

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
OCI = "application/vnd.oci.image."


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config_of(layers, run=None, **fields):
    """An image's config for these layers (uncompressed)."""
    return {"architecture": ARCHITECTURE, "os": "linux", "config": run or {},
            "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]}, **fields}


@functools.cache
def squeezed(data):
    return gzip.compress(data, 1)


def packed(document):
    return document if isinstance(document, bytes) else json.dumps(document).encode()


class Layout:
    """An OCI image layout in the making; every part may be replaced before pack()."""

    def __init__(self):
        self.blobs = {}
        self.manifests = []
        self.version = {"imageLayoutVersion": "1.0.0"}

    def blob(self, data, kind):
        """Adds a blob; returns its descriptor."""
        self.blobs[digest(data)] = data
        return {"mediaType": OCI + kind, "digest": digest(data), "size": len(data)}

    def image(self, layers, run=None, name="latest", squeeze=squeezed, config=None):
        manifest = {
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
            "config": self.blob(packed(config or config_of(layers, run)), "config.v1+json"),
            "layers": [self.blob(squeeze(one), "layer.v1.tar") for one in layers],
        }
        return self.manifest(manifest, name)

    def manifest(self, manifest, name="latest"):
        descriptor = self.blob(packed(manifest), "manifest.v1+json")
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.manifests.append(descriptor)
        return descriptor

    def pack(self, index=None):
        index = index or {"schemaVersion": 2, "manifests": self.manifests}
        members = [directory("blobs"), directory("blobs/sha256")]
        members += [entry("blobs/" + name.replace(":", "/"), data)
                    for name, data in self.blobs.items()]
        # Last, as tools write them that know only then what to say.
        members += [entry("index.json", packed(index)), entry("oci-layout", packed(self.version))]
        return tar(*members)


def oci(*layers, **options):
    layout = Layout()
    layout.image(layers, **options)
    return layout.pack()


def docker(*layers, run=None, tags=("app:latest",), config=None, manifest=None, more=()):
    """What `docker save` writes, the manifest last."""
    config = packed(config or config_of(layers, run))
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    names = [f"{hashlib.sha256(str(i).encode()).hexdigest()}/layer.tar"
             for i in range(len(layers))]
    members = [entry(name, data) for name, data in zip(names, layers)]
    manifest = manifest or [{"Config": config_name, "RepoTags": list(tags), "Layers": names}]
    return tar(*members, *more, entry(config_name, config),
               entry("manifest.json", packed(manifest)))
