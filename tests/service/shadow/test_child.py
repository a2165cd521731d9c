from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import orjson
import pytest

from service.bundle import Bundle, write_bundle
from service.shadow import child
from service.shadow.brief import Limits
from service.shadow.message import AnsweredBy, Offer

BODY = orjson.dumps({"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]})
OFFER = Offer(AnsweredBy("student", "s@v1", "-"), "teacher", "r1", 0, 0.001, BODY, np.zeros(2, np.float32))


def test_a_shadow_asks_the_version_that_is_served_now(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "RENEW_S", 0.0)

    def write(version: str) -> Path:
        return write_bundle(
            tmp_path, dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, version=version))
        )

    write("v1")
    limits = Limits(max_candidates=100, timeout_s=1.0, wanted="onnxruntime")
    models = child.Models({"teacher": str(tmp_path)}, limits)
    assert models.score(OFFER).model == "tiny-student@v1"
    write("v2")
    assert models.score(OFFER).model == "tiny-student@v2"
    (write("v3") / "model.onnx").write_bytes(b"")
    assert models.score(OFFER).model == "tiny-student@v2"
