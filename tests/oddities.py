"""What may stand in a text that is no specification, and how hypothesis tries it: the same every time."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

ODD = [*"\0\t\r\ufeff\u2028é٣²😀", *'"#{}()[]|-']
"""Characters that end, open, close or mean something, here or to some editor; each a text."""

fuzz = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
