"""How nbval compares a notebook's stored outputs with those of a new run."""

import os
import shutil
import tempfile

import nbval.kernel

from tlcourse.cli.kernels import HereOnly

# nbval talks to its kernels over the loopback, which is gone where the network is cut off.
nbval.kernel.KernelManager = HereOnly


def pytest_configure(config):
    # What the chapters record while they are verified belongs to no run.
    config.ledger_folder = tempfile.mkdtemp(prefix="tlcourse-")
    os.environ["TLCOURSE_LEDGER"] = os.path.join(config.ledger_folder, "ledger.jsonl")


def pytest_unconfigure(config):
    shutil.rmtree(config.ledger_folder, ignore_errors=True)


def pytest_collectstart(collector):
    # Libraries print to stderr as they please, and HTML carries numbers of this very run. What a
    # claim asserts stands in the text that is compared.
    if getattr(collector, "path", None) and collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr", "text/html")


def pytest_itemcollected(item):
    # nbval waits five seconds for an output; a busy machine may need longer to draw a figure.
    if item.path.suffix == ".ipynb":
        item.output_timeout = 60
