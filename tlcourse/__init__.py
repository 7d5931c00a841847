"""Transfer learning, question by question, measured on your own machine.

`import tlcourse` loads nothing else; its modules load when they are first used, so that
`tlcourse.data` costs no TensorFlow.
"""

import importlib
import pkgutil

__version__ = "0.1.0"

_MODULES = sorted(
    module.name for module in pkgutil.iter_modules(__path__) if module.name != "__main__"
)


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return ["__version__", *_MODULES]
