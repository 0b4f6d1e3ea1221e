"""The compiled engine. Everything else about the package is declared in pyproject.toml."""

import os
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

# Apple's compiler has no OpenMP of its own: there the loops run on one thread.
openmp = {"win32": (["/openmp"], []), "darwin": ([], [])}.get(sys.platform, (["-fopenmp"], ["-fopenmp"]))
# Products are not fused with sums: where a machine can fuse, its likelihoods would differ from another's.
optimize = ["/O2"] if sys.platform == "win32" else ["-O3", "-fno-math-errno", "-ffp-contract=off", "-g0"]

# What Cython makes of memoryviews is compiled once, and not into each module; no loop over rows is in it.
cold = ["/O1" if sys.platform == "win32" else "-O1"]
SHARED = "treeflows._ext._cyutility"


def extension(name, *sources):
    return Extension(
        f"treeflows._ext.{name}",
        [f"_ext/{name}.pyx", *sources],
        depends=[
            "_ext/kernels.h",
            "_ext/kernels_isa.h",
            "_ext/elementary.h",
            "_ext/costs.h",
        ],
        extra_compile_args=optimize + openmp[0],
        extra_link_args=openmp[1],
        include_dirs=["_ext"],
    )


if __name__ == "__main__":  # processes that translate may begin with this file
    setup(
        options={"build_ext": {"parallel": os.cpu_count()}},
        ext_modules=cythonize(
            [  # what takes longest first
                extension("counting"),
                extension("isa", "_ext/kernels.c"),
                Extension(SHARED, ["_ext/_cyutility.c"], extra_compile_args=cold),
                extension("levels"),
                extension("growing"),
                extension("gaussians"),
                extension("routing"),
                extension("splitting"),
                extension("averaging"),
                extension("products"),
                extension("permuting"),
                extension("pooling"),
                extension("boosting"),
                extension("distinct"),
                extension("encoding"),
                extension("logistic"),
                extension("latent"),
                extension("digits"),
                extension("neural"),
                extension("normal"),
                extension("elementary"),
                extension("costs"),
            ],
            build_dir="build/cython",
            nthreads=os.cpu_count(),
            shared_utility_qualified_name=SHARED,
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
