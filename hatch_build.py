"""Builds the Avro writer in C, where there is a compiler; without it, the one in Python works.

``PENSTOCK_PURE=1`` leaves it out.
https://hatch.pypa.io/latest/plugins/build-hook/custom/
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from Cython.Build import cythonize
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

_SOURCE = "schemas/avro_native.pyx"


class CustomBuildHook(BuildHookInterface[Any]):
    """Puts the extension beside its source; an editable install finds it there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if os.environ.get("PENSTOCK_PURE"):
            return
        try:
            built = _built(Path(self.root))
        except (BaseError, CCompilerError) as error:
            sys.stderr.write(f"penstock: Avro is written in Python, as C did not build: {error}\n")
            return
        build_data["artifacts"].append(built)
        build_data["infer_tag"] = True
        build_data["pure_python"] = False


def _built(root: Path) -> str:
    """Return where the extension lies, from the root of the project."""
    os.chdir(root)
    with TemporaryDirectory() as scratch:
        extensions = cythonize(_SOURCE, build_dir=scratch, quiet=True)
        command = build_ext(Distribution({"ext_modules": extensions}))
        command.build_temp = command.build_lib = scratch
        command.inplace = True
        command.ensure_finalized()
        command.run()
    return command.get_ext_filename("schemas/avro_native")
