"""The compiled engine. Everything else about the package is declared in pyproject.toml."""

import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

# Apple's compiler has no OpenMP of its own: there the loops run on one thread.
openmp = {"win32": (["/openmp"], []), "darwin": ([], [])}.get(sys.platform, (["-fopenmp"], ["-fopenmp"]))
# Products are not fused with sums: where a machine can fuse, its likelihoods would differ from another's.
optimize = ["/O2"] if sys.platform == "win32" else ["-O3", "-fno-math-errno", "-ffp-contract=off"]


def extension(name, *sources):
    return Extension(
        f"treeflows._ext.{name}",
        [f"_ext/{name}.pyx", *sources],
        depends=["_ext/kernels.h", "_ext/kernels_isa.h", *glob("_ext/*.pxd")],
        extra_compile_args=optimize + openmp[0],
        extra_link_args=openmp[1],
        include_dirs=["_ext"],
    )


setup(
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
            extension("encoding"),
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
    )
)
