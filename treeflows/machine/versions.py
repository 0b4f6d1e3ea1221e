"""What a bug report needs to know."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from .._ext import isa
from .._version import __version__
from .threads import n_threads


def show_versions():
    """Print the versions of the package and of what it stands on, the instruction sets and the number of threads."""
    print(f"treeflows {__version__}")
    print(f"python {sys.version.split()[0]}, {platform.platform()}")
    for name in ("numpy", "scikit-learn", "joblib", "narwhals", "pandas", "polars", "pyarrow", "matplotlib", "rich"):
        try:
            print(f"{name} {version(name)}")
        except PackageNotFoundError:
            print(f"{name} not installed")
    print(f"instruction set {isa.current()} (this machine runs {', '.join(isa.available())})")
    print(f"threads {n_threads(-1)}")
