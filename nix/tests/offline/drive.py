"""Runs the script of a NixOS VM test (nix/tests/vm) in a machine that scripts/boot-units.sh has started.

    drive.py PID SCRIPT      PID: the machine's systemd, as seen from here

What is not as in the VM: there is no Grafana, and a reboot is all units stopped and started on the same disk.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INIT, SCRIPT = sys.argv[1], Path(sys.argv[2])
ENTER = ["nsenter", "-t", INIT, "-m", "-p", "-i", "-u", "-n", "-C", "-r", "-w"]
# What the VM waits 15 minutes for takes seconds here.
LIMIT_S = 120


class Failed(Exception):
    """A command that ended otherwise than the script wants it."""


class Machine:
    def _run(self, command: str) -> tuple[int, str]:
        # As NixOS's driver does: errors in a pipe count.
        done = subprocess.run(
            [*ENTER, "bash", "-c", f"set -euo pipefail; {command}"], stdout=subprocess.PIPE, stderr=sys.stderr, text=True
        )
        return done.returncode, done.stdout

    def succeed(self, *commands: str, timeout: int | None = None) -> str:
        said = ""
        for command in commands:
            code, output = self._run(command)
            if code != 0:
                raise Failed(f"ends with {code}: {command}\n{output}")
            said += output
        return said

    def fail(self, *commands: str, timeout: int | None = None) -> str:
        said = ""
        for command in commands:
            code, output = self._run(command)
            if code == 0:
                raise Failed(f"should fail: {command}\n{output}")
            said += output
        return said

    def wait_until_succeeds(self, command: str, timeout: int = LIMIT_S) -> str:
        end = time.monotonic() + min(timeout, LIMIT_S)
        while True:
            code, output = self._run(command)
            if code == 0:
                return output
            if time.monotonic() > end:
                raise Failed(f"never succeeds: {command}\n{output}")
            time.sleep(0.5)

    def wait_for_unit(self, unit: str, user: str | None = None, timeout: int = LIMIT_S) -> None:
        self.wait_until_succeeds(f"test $(systemctl show --property=ActiveState --value {unit}) = active", timeout)

    def shutdown(self) -> None:
        self.succeed(f"systemctl stop {' '.join(scope['UNITS'] + scope['BACKENDS'])}")

    def start(self, allow_reboot: bool = False) -> None:
        self.succeed(f"systemctl start --no-block {' '.join(scope['BACKENDS'] + scope['UNITS'])}")


@contextlib.contextmanager
def subtest(name: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    print(f"        ok      {name} ({time.monotonic() - begun:.0f} s)", flush=True)


scope: dict[str, Any] = {"machine": Machine(), "subtest": subtest, "start_all": lambda: None}
text = SCRIPT.read_text()
without_grafana = text.replace(',"grafana"', "")
if without_grafana == text:
    sys.exit(f"drive: {SCRIPT} does not name Grafana as it used to")
try:
    exec(compile(without_grafana, SCRIPT, "exec"), scope)
except (Failed, AssertionError) as error:
    sys.exit(f"drive: {error}")
