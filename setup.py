"""The compiled engine. Everything else about the package is declared in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# Apple's compiler has no OpenMP of its own: there the loops run on one thread.
openmp = {"win32": (["/openmp"], []), "darwin": ([], [])}.get(sys.platform, (["-fopenmp"], ["-fopenmp"]))
# Products are not fused with sums: where a machine can fuse, its likelihoods would differ from another's.
optimize = ["/O2"] if sys.platform == "win32" else ["-O3", "-fno-math-errno", "-ffp-contract=off", "-g0"]


def extension(name, *sources):
    return Extension(
        f"treeflows._ext.{name}",
        [f"_ext/{name}.pyx", *sources],
        depends=[
            "_ext/kernels.h",
            "_ext/kernels_isa.h",
            "_ext/elementary.h",
            "_ext/costs.h",
            *map(str, Path("_ext").glob("*.pxd")),
        ],
        extra_compile_args=optimize + openmp[0],
        extra_link_args=openmp[1],
        include_dirs=["_ext"],
    )


setup(
    options={"build_ext": {"parallel": os.cpu_count()}},
    ext_modules=cythonize(
        [
            extension("isa", "_ext/kernels.c"),
            extension("counting"),
            extension("splitting"),
            extension("permuting"),
            extension("growing"),
            extension("averaging"),
            extension("routing"),
            extension("products"),
            extension("gaussians"),
            extension("boosting"),
            extension("logistic"),
            extension("pooling"),
            extension("encoding"),
            extension("elementary"),
            extension("normal"),
            extension("costs"),
            extension("levels"),
            extension("distinct"),
        ],
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
        },
    ),
)
