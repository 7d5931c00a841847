"""End what runs too long, inside the notebook's own process."""

import contextlib
import ctypes
import random
import signal
import sys
import threading
from collections.abc import Iterator

AGAIN = 0.05  # seconds; an answer may swallow the first interruption, hardly the hundredth


class TooLong(BaseException):
    """The time is up. No `except Exception` of an answer holds it back."""


def at_most(seconds: float) -> contextlib.AbstractContextManager[None]:
    """Raise `TooLong` in the block once its time is up, and again until the block is left.

    A process of its own could be killed at any moment, but would have to import Keras first. On the
    main thread of Linux and macOS, where notebooks run their cells, an alarm of the operating
    system interrupts; it ends a `time.sleep`, too, and a loop that catches every exception. On
    Windows, and on other threads, a watching thread asks Python to raise, which it does before the
    next line of Python code; a loop around a bare `except` can hold that back. Neither ends one
    single call into compiled code, such as a product of huge matrices, before that call returns.

    Args:
        seconds: how long the block may run.

    Raises:
        TooLong: inside the block.

    Example:
        >>> try:
        ...     with at_most(0.05):
        ...         while True:
        ...             pass
        ... except TooLong:
        ...     print("ended")
        ended
    """
    on_main = threading.current_thread() is threading.main_thread()
    if hasattr(signal, "setitimer") and on_main:
        return _alarm(seconds)
    return _watched(seconds)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    rings, tracing = 0, sys.gettrace()

    def ring(_, frame):
        nonlocal rings
        rings += 1
        if rings < 4:
            raise TooLong
        # Something catches it. In every loop there is a line where nothing does, in the handler at
        # the latest: raise some lines from here, each time another number of them.
        left = random.randint(1, 2 ** (rings % 8))

        def trace(*_):
            nonlocal left
            left -= 1
            if left < 1:
                raise TooLong
            return trace

        while frame:
            frame.f_trace = trace
            frame = frame.f_back
        sys.settrace(trace)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
        yield
    finally:
        _surely(lambda: signal.setitimer(signal.ITIMER_REAL, 0))
        _surely(lambda: sys.settrace(tracing))
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _watched(seconds: float) -> Iterator[None]:
    over = threading.Event()
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    thread = ctypes.c_ulong(threading.get_ident())

    def watch():
        wait = seconds
        while not over.wait(wait):
            raise_in(thread, ctypes.py_object(TooLong))
            wait = AGAIN

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        _surely(over.set)
        _surely(watcher.join)
        _surely(lambda: raise_in(thread, None))  # Withdraws one that is still on its way.


def _surely(act) -> None:
    while True:
        try:
            act()
            return
        except TooLong:
            continue
