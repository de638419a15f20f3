"""What pyproject.toml cannot say: a wheel carries the checkout's suites as `bench/shipped`."""

from setuptools import find_namespace_packages, setup

SUITES = {"bench.shipped": "suites", "bench.shipped.references": "suites/references"}

setup(packages=[*find_namespace_packages(include=["bench*"]), *SUITES], package_dir=SUITES)
