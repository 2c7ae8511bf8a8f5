"""Tests of a real model take ten minutes on two cores: they run where they are asked for."""

import os

import pytest

asked_for = pytest.mark.skipif(
    not os.environ.get("ANCHOR_REAL_MODEL"), reason="takes ten minutes on two cores: set ANCHOR_REAL_MODEL=1"
)
