"""What the demo prints: steps with a tick or a cross and the time of each."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Broken(Exception):
    """A step did not hold, and what follows depends on it."""


class Transcript:
    """Prints each step with a tick or a cross and its time, and remembers whether all held."""

    def __init__(self) -> None:
        self.steps = 0
        self.failures: list[str] = []
        # What the running step has to say; printed below its line.
        self._notes: list[str] | None = None

    @contextmanager
    def step(self, title: str, *, vital: bool = False) -> Iterator[None]:
        """One step; it holds when its block ends without an exception. A vital one ends the demo if it does not."""
        start = time.monotonic()
        self.steps += 1
        self._notes = []
        mark, broken = "✓", None
        try:
            yield
        except Exception as error:
            mark, broken = "✗", error
            self.failures.append(title)
            self.note(f"{type(error).__name__}: {error}")
        notes, self._notes = self._notes, None
        print(f"  {mark} {title:<86} {time.monotonic() - start:7.2f} s", flush=True)
        self.note("\n".join(notes))
        if broken and vital:
            raise Broken from broken

    def note(self, text: str) -> None:
        if self._notes is not None:
            self._notes.append(text)
            return
        for line in text.splitlines():
            print(f"      {line}", flush=True)

    @staticmethod
    def heading(text: str) -> None:
        print(f"\n{text}", flush=True)
