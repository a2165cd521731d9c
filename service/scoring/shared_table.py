"""The embedding table of a graph, used by onnxruntime where it is mapped: any number of sessions, no copy.

An exported graph has the table as an initializer that stands in embedding.npy and is also listed as an input, which
makes it a default that a caller may replace. Then a session can be given the numbers (`add_initializer`), uses them
where they are, and says which type and shape it expects. Of the ways that onnxruntime 1.31 offers it is the only one
that never copies: external initializers handed over are copied, in passing even where they are shared as well, and a
session made from a path maps the file a second time, unchecked.

No file is opened for a graph: what it names is looked for among empty placeholders, so that the name of a table is
found, and anything else, or a table that was not given, is refused.
"""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from service.bundle import BundleError, EmbeddingTable

_FOLDER = "session.model_external_initializers_file_folder_path"
_PLACEHOLDERS = Path(__file__).with_name("placeholders")
_TYPES = {"float32": "tensor(float)", "float16": "tensor(float16)", "int8": "tensor(int8)"}


class SharedTable:
    """Lets sessions with `options` use `embedding`. To be kept as long as any of them: they hold no reference."""

    def __init__(self, embedding: EmbeddingTable | None, options: onnxruntime.SessionOptions) -> None:
        arrays = {} if embedding is None else embedding.arrays
        self._values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}
        self._expected = {name: (_TYPES[str(array.dtype)], list(array.shape)) for name, array in arrays.items()}
        options.add_session_config_entry(_FOLDER, str(_PLACEHOLDERS))
        for name, value in self._values.items():
            options.add_initializer(name, value)

    def check(self, session: onnxruntime.InferenceSession) -> None:
        """Raise BundleError unless the graph refers to just these arrays, of their types and shapes.

        onnxruntime does not compare them: of another type or shape it would read something else, or past the end.
        """
        found = {value.name: (value.type, value.shape) for value in session.get_overridable_initializers()}
        if found != self._expected:
            raise BundleError(f"model.onnx: refers to {found}, the bundle has {self._expected}; export again")
