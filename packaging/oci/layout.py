"""layout.py CONTENT FOLDER VERSION COMMIT: writes an OCI image layout of one layer.

The format is three small JSON files and a tar archive, each named by its digest,
so Python's own library is enough. Times and owners are fixed: the same content
gives the same digests.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import sys
import tarfile
from datetime import datetime, timezone

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
# What the daemon writes to belongs to it, all else to root.
OWNED = ("var/lib/amid",)
USER = 10001
OPEN = ("tmp",)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def layer(content):
    """The archive of a folder, uncompressed."""

    def fix(info):
        info.mtime = EPOCH
        info.uname = info.gname = ""
        owned = info.name in OWNED
        info.uid = info.gid = USER if owned else 0
        if info.name in OPEN:
            info.mode = 0o1777
        elif info.isdir():
            info.mode = 0o700 if owned else 0o755
        return info

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for place, folders, files in os.walk(content):
            folders.sort()
            for name in sorted(folders + files):
                path = os.path.join(place, name)
                archive.add(path, os.path.relpath(path, content), recursive=False, filter=fix)
    return buffer.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def main(content, folder, version, commit):
    blobs = os.path.join(folder, "blobs", "sha256")
    os.makedirs(blobs)

    def blob(data, media_type):
        name = digest(data)
        with open(os.path.join(blobs, name.split(":")[1]), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": name, "size": len(data)}

    def text(value):
        return json.dumps(value, indent=2, sort_keys=True).encode()

    archive = layer(content)
    packed = blob(gzip.compress(archive, 9, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
    created = datetime.fromtimestamp(EPOCH, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {
        "org.opencontainers.image.title": "amid",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
    }
    machine = platform.machine()
    system = {"architecture": ARCHITECTURES.get(machine, machine), "os": "linux"}
    config = system | {
        "created": created,
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/bin", "HOME=/var/lib/amid", "MALLOC_ARENA_MAX=1", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
            "Entrypoint": ["/usr/bin/amid"],
            "Cmd": ["run"],
            "WorkingDir": "/var/lib/amid",
            "Volumes": {"/var/lib/amid": {}},
            "StopSignal": "SIGTERM",
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(archive)]},
        "history": [{"created": created, "created_by": "packaging/oci/build.sh"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(text(config), "application/vnd.oci.image.config.v1+json"),
        "layers": [packed],
        "annotations": labels | {"org.opencontainers.image.created": created},
    }
    entry = blob(text(manifest), "application/vnd.oci.image.manifest.v1+json")
    entry |= {"platform": system, "annotations": {"org.opencontainers.image.ref.name": version}}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    with open(os.path.join(folder, "index.json"), "wb") as file:
        file.write(text(index))
    with open(os.path.join(folder, "oci-layout"), "w", encoding="utf-8") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)


main(*sys.argv[1:])
