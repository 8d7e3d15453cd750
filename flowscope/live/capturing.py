"""A capture program on an interface: started, followed from file to file, watched with its interface and its disk."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from flowscope.capture import live as programs
from flowscope.capture.live import Wish
from flowscope.host.interfaces import changed, interfaces
from flowscope.host.processes import waits
from flowscope.live.growing import Growing
from flowscope.live.sources import Number, Pipe, Source

_ASK_S = 3.0
_PIPE_BYTES = 1 << 20
#: dumpcap that writes a ring flushes it twice a second, besides what :attr:`Source.held_back_ns` says.
_FLUSHED_NS = 1_000_000_000
#: Less than a page is nothing.
_FULL_BYTES = 4096
_COUNTED = re.compile(r"^Packets: \d+ ")
_FILE_LINE = re.compile(r"^File: (.+)$")


class Interface(Pipe):
    """A capture program on one interface.

    Args:
        program: one of :data:`flowscope.capture.live.PROGRAMS`.
        wish: what to capture.
        path: the file to write.
        limit_bytes: of a file that is not kept.
        prefix: what starts the program with fewer rights (:func:`flowscope.host.rights.with_capture_rights`).
    """

    own = True

    def __init__(
        self, program: str, wish: Wish, path: str, limit_bytes: int | None, prefix: Sequence[str] = ()
    ) -> None:
        super().__init__(wish.interface, path, limit_bytes)
        self._kept = limit_bytes is None
        if wish.ring:
            self.held_back_ns = _FLUSHED_NS
        self._program, self._wish = program, wish
        self._line = [*prefix, *programs.command_line(program, wish, path)]
        self._process: subprocess.Popen[bytes] | None = None
        self._said: list[str] = []
        self._announced: list[str] = []
        self._stopping = False
        self._state = interfaces().get(wish.interface)
        self._looked_at = self._asked_at = time.monotonic()

    @property
    def program(self) -> str:
        """The capture program."""
        return self._program

    @property
    def alive(self) -> bool:
        """The program runs."""
        return self._process is not None and self._process.poll() is None

    def begin(self, number: Number) -> None:
        """Starts the program; it may still fail, which :meth:`look` tells."""
        writes_files = bool(self._wish.ring)
        # A group of its own: Ctrl-C in a terminal reaches every process of the foreground, and the program must end
        # when we say so, after its last packets. When we die it dies of its closed pipe.
        self._process = subprocess.Popen(
            self._line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if writes_files else subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        threading.Thread(target=self._listen, name=f"words of {self._program}", daemon=True).start()
        if not writes_files:
            assert self._process.stdout is not None
            self._descriptor = os.dup(self._process.stdout.fileno())
            self._process.stdout.close()
            with suppress(OSError, AttributeError):
                # The program must not have to wait for us (fcntl(2): Linux only, and no more than the system allows).
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def look(self, number: Number) -> None:
        """Takes over new files, and notices when the program ended."""
        self._watch_interface()
        if self._recorder is None and not self._wish.ring:
            self.record(number)
        at_ns, process = time.time_ns(), self._process
        # A program may sleep because its pipe is full: that is looked at before and after.
        if process is not None and not self.ended and self._drained and waits(process.pid) and self._drained:
            self.waited_ns = at_ns
        while self._announced:
            path = self._announced.pop(0)
            several = f" ({len(self.files) + 1})" if self.files else ""
            self.files.append(Growing(path, path if self._kept else self.name + several, number()))
        self._overwritten()
        if self._recorder is not None:
            Source.look(self, number)
            if self._recorder.error and not self.ended:
                kind = "disk-full" if self._recorder.full else "write-error"
                self.tell(kind, f"{self._path}: {self._recorder.error}: nothing after this was kept")
                self.stop()
        if self._process is None or self.ended or (code := self._process.poll()) is None:
            return
        if self._recorder is not None and self._recorder.is_alive():
            return
        self._hear_out()
        if self._announced:
            return
        self.ended = True
        self.dropped = programs.dropped(self._program, self.said)
        if not self._stopping and not self._enough(code):
            self.tell("capture-ended", f"{self.name}: {self._program} has ended: {self.reason(code)}")

    def stop(self) -> None:
        """Asks the program to write what it holds and to end."""
        self._stopping = True
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Ends the program now."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait(5)

    @property
    def _drained(self) -> bool:
        """All that the program has written is in the file."""
        return self._recorder is None or self._recorder.drained

    @property
    def said(self) -> str:
        """The program's words so far."""
        return "\n".join(self._said)

    def reason(self, code: int) -> str:
        """Why the program ended, in its own words where it has some."""
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        words = [line for line in self._said if not re.match(_NOT_A_REASON, line)]
        return " ".join(line.removeprefix(f"{self._program}: ") for line in words)[:400] or f"exit code {code}"

    def _enough(self, code: int) -> bool:
        """It ended because it has captured as many packets as were asked for."""
        return code == 0 and self._wish.count is not None and not self._lost_interface()

    def _lost_interface(self) -> bool:
        return re.search("no longer attached|disappeared|went down", self.said) is not None

    def _watch_interface(self) -> None:
        """Once a second: what became of the interface, and what the program has lost so far."""
        now = time.monotonic()
        if now - self._looked_at < 1 or self.ended:
            return
        self._looked_at = now
        if self._state is not None:
            current = interfaces().get(self._wish.interface)
            if told := changed(self._state, current):
                self.tell(*told)
            # A name that is gone may come back; what is captured does not come back with it.
            self._state = current
        if self._program == "tcpdump" and now - self._asked_at > _ASK_S and self.alive:
            self._asked_at = now
            assert self._process is not None
            # tcpdump answers with its counts (tcpdump(1), SIGUSR1 where there is no SIGINFO).
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGUSR1)
        self.dropped = programs.dropped(self._program, self.said)
        self._watch_disk()

    def _watch_disk(self) -> None:
        """A full disk: the program notices when it writes again, which on a quiet wire may be much later."""
        folder = os.path.dirname(os.path.abspath(self._path))
        with suppress(OSError):
            if not self._stopping and shutil.disk_usage(folder).free < _FULL_BYTES:
                self.tell("disk-full", f"no space left in {folder}: capturing on {self.name} ends here")
                self.stop()

    def _overwritten(self) -> None:
        """Files of a ring that the program deleted to make room."""
        if self._wish.ring:
            for file in self.files[:-1]:
                if not file.gone and not os.path.exists(file.path):
                    file.gone = True

    def _listen(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        for raw in self._process.stderr:
            for part in raw.decode("utf-8", "replace").split("\r"):
                # Counts are written over one another, and what comes next follows the last of them.
                line = _COUNTED.sub("", part).strip()
                if match := _FILE_LINE.match(line):
                    self._announced += [match[1]] if self._wish.ring else []
                elif line:
                    self._said = [*self._said[-40:], line]
        self._heard = True

    _heard = False

    def _hear_out(self) -> None:
        """Waits until the last words were heard: the name of a file may be among them."""
        for _ in range(200):
            if self._heard:
                return
            threading.Event().wait(0.01)


_NOT_A_REASON = (
    r"Capturing on |Packets captured: |Packets received/dropped |listening|lost \d|tcpdump: listening"
    r"|\d+ packets? (captured|received|dropped)"
)
