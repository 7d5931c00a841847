"""Kernels of this very interpreter, reached without a network."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager


class HereOnly(KernelManager):
    """Mix into a kernel manager: it starts `sys.executable`, whatever kernels are installed.

    It talks to the kernel through files in a private folder, where the system has them: that works
    with the network cut off, the loopback included, and no other user of the machine can listen.
    """

    def __init__(self, **options):
        super().__init__(**options)
        if os.name == "posix":
            # A short path: a socket's may have about a hundred characters.
            folder = tempfile.mkdtemp(prefix="tlcourse-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self.connection_file = str(Path(folder) / "kernel.json")
            self.transport = "ipc"

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())
