"""Waiting for a condition, never for a time."""

import time

PATIENCE_S = 60  # how long before a condition counts as never coming true; sanitizers are slow


def wait_until(condition, what, timeout_s=PATIENCE_S):
    """The first true value that condition() gives; AssertionError, naming what, after timeout_s."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(0.02)
