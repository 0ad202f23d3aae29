"""What the doctor's tests share with the judges: the C programs of small TLS clients."""

from tests.oracles.conftest import c_program, shared_folder

__all__ = ["c_program", "shared_folder"]
