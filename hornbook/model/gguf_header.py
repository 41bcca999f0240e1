"""The header of a GGUF file: named values and tensors, each asked for with the type it must have.

Format: github.com/ggml-org/ggml, docs/gguf.md. The package `gguf` does the parsing; here its errors, which name
offsets and arrays, become one that names the file and the field.
"""

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from hornbook.core.errors import HornbookError


class GGUFFile:
    """An open GGUF file. Raises HornbookError when it is missing, damaged or cut short.

    `keys` are the names of all values, `tensors` the stored tensors by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise HornbookError(f"There is no file {self.path}.", "Name a GGUF file.")
        try:
            reader = gguf.GGUFReader(self.path)
            self._values = {key: field.contents() for key, field in reader.fields.items()}
        except Exception as error:  # the reader trusts every length in the file, so damage shows as anything
            raise HornbookError(
                f"{self.path} is no GGUF file, is damaged or is of a newer format ({error}).", "Fetch the file again."
            ) from error
        if reader.byte_order != "I":
            raise self.refuse("its numbers are in the byte order of other machines")
        self.tensors: dict[str, gguf.ReaderTensor] = {tensor.name: tensor for tensor in reader.tensors}
        self._check_places(reader)

    @property
    def keys(self) -> list[str]:
        return list(self._values)

    def value(self, key: str) -> Any:
        """A value as it is, None when it is not there."""
        return self._values.get(key)

    def has(self, key: str) -> bool:
        return key in self._values

    def integer(self, key: str, default: int | None = None) -> int:
        return self._get(key, int, default)

    def number(self, key: str, default: float | None = None) -> float:
        """A positive number."""
        value = shortest(self._get(key, float, default))
        if not 0 < value < math.inf:
            raise self.refuse(f"{key} is {value}, not a positive number")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return self._get(key, str, default)

    def flag(self, key: str, default: bool | None = None) -> bool:
        return self._get(key, bool, default)

    def items(self, key: str, kind: type) -> list[Any]:
        """A list of values of one kind."""
        values = self._get(key, list, None)
        if not all(type(value) is kind for value in values):
            raise self.refuse(f"{key} is not a list of {kind.__name__}")
        return values

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor as torch writes it, rows first; the file has the dimensions the other way round."""
        return tuple(int(size) for size in reversed(self.tensors[name].shape))

    def weight(self, name: str) -> torch.Tensor:
        """A tensor in float32. Raises HornbookError for number types that the package cannot expand."""
        stored = self.tensors[name]
        try:
            weight = torch.from_numpy(gguf.dequantize(stored.data, stored.tensor_type).copy())
        except NotImplementedError:
            raise self.refuse(f"{name} is stored as {stored.tensor_type.name}, which cannot be expanded here") from None
        if not weight.isfinite().all():
            raise self.refuse(f"{name} holds values that are not finite")
        return weight

    def refuse(self, reason: str, remedy: str = "Use another file of this model.") -> HornbookError:
        """The error that says why this file is not opened."""
        return HornbookError(f"Hornbook cannot open {self.path}: {reason}.", remedy)

    def _check_places(self, reader: gguf.GGUFReader) -> None:
        """Tensors lie one behind the other, each from the next multiple of the alignment on: nothing else is read."""
        end = int(reader.data_offset)
        for tensor in sorted(reader.tensors, key=lambda tensor: int(tensor.data_offset)):
            if int(tensor.data_offset) != end:
                raise self.refuse(f"the tensor {tensor.name} is not where the one before it ends", "Fetch it again.")
            end += -(-int(tensor.n_bytes) // reader.alignment) * reader.alignment

    def _get(self, key: str, kind: type, default: Any) -> Any:
        value = self._values.get(key, default)
        if value is None:
            raise self.refuse(f"{key} is missing")
        if type(value) is not kind:
            raise self.refuse(f"{key} is {value!r:.60}, not of type {kind.__name__}")
        return value


def shortest(number: float) -> float:
    """What is meant by a number of 32 bits, which make 9.99...e-6 of 1e-5: the shortest that fits."""
    return float(str(np.float32(number)))
