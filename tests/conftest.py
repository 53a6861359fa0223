"""What all tests share: few but fresh examples, and no time limit that a busy machine would break."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("novaops", max_examples=10, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("novaops")
