"""A service over a bundle with MovieLens's fields, in a folder that looks like a reader's checkout."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.bundle import Bundle, Flops, Golden, Graph, Manifest, write_bundle
from tests.conftest import CALIBRATION, Weights, onnx_graph, probabilities
from tests.docs.guides import ROOT, Checkout, environment
from training.data import movielens
from training.data.movielens import Counts
from training.data.prepare import Prepared, prepare


def write_archive(folder: Path) -> None:
    """An archive of MovieLens's form: 50 users who each rate every one of 30 movies."""
    folder.mkdir()
    users = [f"{user}::{'MF'[user % 2]}::25::{user % 21}::9411{user % 10}" for user in range(1, 51)]
    movies = [f"{movie}::Movie {movie} ({1970 + movie})::Drama" for movie in range(1, 31)]
    ratings = [f"{u}::{m}::{1 + (u * m) % 5}::97830{u:02d}{m:02d}" for u in range(1, 51) for m in range(1, 31)]
    for name, lines in (("users", users), ("movies", movies), ("ratings", ratings)):
        (folder / f"{name}.dat").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def docs_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student and a teacher with MovieLens's fields and vocabularies, and random factorization machines for models:
    what the documents ask does not depend on what answers, and an export takes tens of seconds.
    """
    root = tmp_path_factory.mktemp("docs-bundles")
    write_archive(root / "ml-1m")
    counts = Counts(ratings=1500, users=50, movies=30)
    prepared = prepare(movielens.read(root / "ml-1m", expected=counts), root / "data")
    for seed, arm in enumerate(("student", "teacher")):
        write_bundle(root / "bundles" / arm, bundle_of(prepared, f"docs-{arm}", seed, flops=100.0 * 10**seed))
    return root / "bundles"


def bundle_of(prepared: Prepared, name: str, seed: int, flops: float) -> Bundle:
    """A bundle of this data; its version is as long as a real one's."""
    encoder, example = prepared.encoder, dict(prepared.example)
    context_fields = len(encoder.schema.context)
    weights = Weights.random(encoder.sizes, seed)
    context_ids = encoder.encode_context(example["context"])
    candidate_ids = encoder.encode(encoder.schema.candidate, example["candidates"])
    logits_N = weights.logits(context_ids, candidate_ids)
    return Bundle(
        manifest=Manifest(
            name=name,
            version=f"{seed:012x}",
            architecture="fm",
            schema_digest=encoder.schema.digest,
            parameters=int(weights.embedding_VD.size),
            flops=Flops(effective=flops, executed=flops, candidates=200),
            graph=Graph(form="split", opset=17, timings_us={}),
            calibration=CALIBRATION,
            metrics={"test_auc": 0.5},
            lineage={"recipe": "tests/docs/conftest.py"},
            files={},
        ),
        encoder=encoder,
        catalogue=prepared.catalogue,
        golden=Golden.of(context_ids, [candidate_ids], [logits_N]),
        example={**example, "probabilities": probabilities(logits_N)},
        model_onnx=onnx_graph(weights, context_fields),
        model_card=f"# {name}\n",
    )


@contextmanager
def serving(folder: Path, bundles: Path) -> Iterator[Checkout]:
    """A checkout in an empty folder, and `python -m service serve` in it."""
    interpreter = folder / ".venv/bin/python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    interpreter.chmod(0o755)
    for name, target in (("docs", ROOT / "docs"), ("docker", ROOT / "docker"), ("bundles", bundles)):
        (folder / name).symlink_to(target)
    command = [sys.executable, "-m", "service", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        served_at = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert served_at is not None
        try:
            yield Checkout(folder, served_at.group())
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def checkout(docs_bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """One for the tests of a file."""
    with serving(tmp_path_factory.mktemp("checkout"), docs_bundles) as served:
        yield served


@pytest.fixture
def new_checkout(docs_bundles: Path, tmp_path: Path) -> Iterator[Callable[[], Checkout]]:
    """Makes one for a test that changes what is served."""
    with serving(tmp_path, docs_bundles) as served:
        yield lambda: served
