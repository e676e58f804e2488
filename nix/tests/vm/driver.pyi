# What the driver of NixOS's tests gives a script, as far as ours use it (nixos/lib/test-driver). Stands before a script when
# mypy reads it.
from contextlib import AbstractContextManager


class Machine:
    def succeed(self, *commands: str, timeout: int | None = None) -> str: raise NotImplementedError
    def fail(self, *commands: str, timeout: int | None = None) -> str: raise NotImplementedError
    def wait_for_unit(self, unit: str, user: str | None = None, timeout: int = 900) -> None: raise NotImplementedError
    def wait_until_succeeds(self, command: str, timeout: int = 900) -> str: raise NotImplementedError
    def shutdown(self) -> None: raise NotImplementedError
    def start(self, allow_reboot: bool = False) -> None: raise NotImplementedError


def start_all() -> None: raise NotImplementedError
def subtest(name: str) -> AbstractContextManager[None]: raise NotImplementedError


machine: Machine = Machine()
