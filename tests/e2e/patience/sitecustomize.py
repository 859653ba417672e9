"""Found through PYTHONPATH by the commands of the examples: the AWS CLI looks every 30 s whether a stack is there."""

import time

_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(seconds, 0.2))
