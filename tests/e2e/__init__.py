"""The real template, the real functions and stock boto3 clients, on the local cloud."""

import pytest

# Its helpers assert, and should say what they found as tests do.
pytest.register_assert_rewrite("tests.e2e.world")
