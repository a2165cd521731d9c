import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.checkpoint import load_tensors, save_tensors
from training.data.batches import TensorRows
from training.data.prepare import open_prepared
from training.evaluate import Slicing, evaluate_part, evaluate_slices, evaluate_test
from training.metrics import log_loss
from training.objective import predict
from training.run import Run


def close(run: Run, part: str = "test") -> None:
    """Take the part's rows away."""
    for path in (run.directory / "data").glob(f"{part}_*.npy"):
        path.unlink()


def by_hand(run: Run, part: str, phase: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, clicks and users of a part, without the evaluation."""
    rows = TensorRows.of(open_prepared(run.directory / "data").rows(part))
    return predict(run.load(phase).model, rows.ids_NF).numpy(), rows.clicks_N.numpy(), rows.ids_NF[:, 0].numpy()


@pytest.mark.parametrize("part", ["validation", "test"])
def test_overall_metrics_are_those_of_the_models_on_the_part(finished: Run, part: str) -> None:
    report = evaluate_part(finished, part)
    for phase in ("teach", "distill", "finetune"):
        logits, clicks, _ = by_hand(finished, part, phase)
        assert report["scores"][phase]["auc"] == pytest.approx(roc_auc_score(clicks, logits), abs=1e-12)
        assert report["scores"][phase]["log_loss"] == log_loss(logits, clicks)
    assert set(report["scores"]["finetune"]) == {
        *("auc", "gauc", "log_loss", "normalized_entropy", "calibration", "logit_gap")
    }
    assert json.loads((finished.directory / f"{part}.json").read_text()) == report


def test_gauc_counts_users_with_clicks_and_others_and_no_unknown_ones(finished: Run) -> None:
    report = evaluate_test(finished)
    logits, clicks, users = by_hand(finished, "test", "finetune")
    weighted, rows, left_out = 0.0, 0, 0
    for user in np.unique(users[users > 1]):
        inside = users == user
        if 0 < clicks[inside].sum() < inside.sum():
            weighted += inside.sum() * roc_auc_score(clicks[inside], logits[inside])
            rows += int(inside.sum())
        else:
            left_out += 1
    assert report["scores"]["finetune"]["gauc"] == pytest.approx(weighted / rows, abs=1e-12)
    groups = report["groups"]
    assert (groups["field"], groups["rows"], groups["groups_left_out"]) == ("user_id", rows, left_out)
    assert groups["rows_left_out"] == len(users) - rows


def test_validation_is_evaluated_while_the_test_part_is_closed(finished: Run) -> None:
    close(finished)
    evaluate_part(finished, "validation")
    evaluate_slices(finished, "validation", Slicing("gender"))


def test_the_test_part_is_not_scored_again_when_slices_or_a_lost_report_are_asked_for(finished: Run) -> None:
    """Of the test rows only the ids of the field asked for are opened: without clicks nothing could be scored."""
    report = evaluate_test(finished)
    slices = evaluate_slices(finished, "test", Slicing("gender"))
    (finished.directory / "data/test_clicks.npy").unlink()
    (finished.directory / "data/test_true_probability.npy").unlink()
    (finished.directory / "test.json").unlink()
    assert evaluate_slices(finished, "test", Slicing("gender")) == slices
    (finished.directory / "data/test_ids.npy").unlink()
    assert evaluate_test(finished) == report


def test_logits_of_other_models_are_not_used(finished: Run) -> None:
    before = evaluate_test(finished)["scores"]["finetune"]["auc"]
    tensors, meta = load_tensors(finished.checkpoint("finetune"))
    save_tensors(finished.checkpoint("finetune"), {name: -tensor for name, tensor in tensors.items()}, meta)
    after = evaluate_test(finished)["scores"]["finetune"]["auc"]
    logits, clicks, _ = by_hand(finished, "test", "finetune")
    assert after == pytest.approx(roc_auc_score(clicks, logits), abs=1e-12)
    assert after != before


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_damaged_logits_are_made_again(finished: Run, damage: bytes | None) -> None:
    report = evaluate_test(finished)
    path = finished.directory / "test_logits.npz"
    path.write_bytes(path.read_bytes()[:-400] if damage is None else damage)
    (finished.directory / "test.json").unlink()
    assert evaluate_test(finished) == report


def test_a_report_of_an_older_format_is_made_again(finished: Run) -> None:
    report = evaluate_test(finished)
    old = {key: value for key, value in report.items() if key != "format"}
    (finished.directory / "test.json").write_text(json.dumps({**old, "scores": {}}))
    assert evaluate_test(finished) == report


def test_slices_hold_every_row_once_and_each_has_the_metrics_of_its_rows(finished: Run) -> None:
    report = evaluate_slices(finished, "validation", Slicing("country"), top=3)
    logits, clicks, _ = by_hand(finished, "validation", "finetune")
    prepared = open_prepared(finished.directory / "data")
    country = np.asarray(prepared.rows("validation").ids_NF[:, 3])
    assert sum(each["rows"] for each in report["slices"]) == len(clicks)
    assert [each["slice"] for each in report["slices"]][-1].startswith("the other ")
    for each in report["slices"][:3]:
        id_ = prepared.encoder.encode_column("country", [each["slice"]])[0]
        inside = country == id_
        told = each["scores"]["finetune"]
        assert (each["rows"], each["clicks"]) == (inside.sum(), clicks[inside].sum())
        assert told["log_loss"] == pytest.approx(log_loss(logits[inside], clicks[inside]))
        assert told["auc"] == pytest.approx(roc_auc_score(clicks[inside], logits[inside]), abs=1e-12)
        promised = (1 / (1 + np.exp(-logits[inside].astype(float)))).sum()
        assert told["calibration"] == pytest.approx(promised / clicks[inside].sum())
        assert told["null_band"][0] < 1 < told["null_band"][1]
        assert told["by_chance"] == (told["null_band"][0] <= told["calibration"] <= told["null_band"][1])


def test_a_model_that_promises_too_much_in_one_slice_is_marked_there_and_nowhere_else(finished: Run) -> None:
    before, after = (_marked_with_logits_raised(finished, "country", "BR", more) for more in (0.0, 0.8))
    assert len(before) <= 3, "true probabilities are beyond chance in one slice of twenty"
    assert after - before == {"BR"}


def _marked_with_logits_raised(run: Run, field: str, value: str, more: float) -> set[str]:
    """Slices beyond chance, of the click model with its logits of one value raised."""
    prepared = open_prepared(run.directory / "data")
    position = [known.name for known in prepared.encoder.schema.fields].index(field)
    id_ = prepared.encoder.encode_column(field, [value])[0]
    path = run.directory / "data/validation_true_probability.npy"
    true = np.load(path)
    logits = np.log(true / (1 - true)) + more * (prepared.rows("validation").ids_NF[:, position] == id_)
    np.save(path, 1 / (1 + np.exp(-logits)))
    (run.directory / "validation_logits.npz").unlink(missing_ok=True)
    slices = evaluate_slices(run, "validation", Slicing(field))["slices"]
    return {each["slice"] for each in slices if not each["scores"]["best reachable"]["by_chance"]}


def test_a_slice_of_one_class_has_no_auc_and_no_entropy_but_a_band(finished: Run) -> None:
    report = evaluate_slices(finished, "validation", Slicing("item_id"), top=60)
    alone = [each for each in report["slices"] if each["clicks"] in (0, each["rows"])]
    assert alone, "the test needs an item without clicks"
    for each in alone:
        told = each["scores"]["teach"]
        assert (told["auc"], told["gauc"], told["normalized_entropy"]) == (None, None, None)
        assert (told["calibration"] is None) == (each["clicks"] == 0)
        assert told["expected_clicks"] > 0
    json.dumps(report, allow_nan=False)


def test_within_slices_of_users_there_is_no_gauc_because_it_is_auc(finished: Run) -> None:
    report = evaluate_slices(finished, "validation", Slicing("user_id"), top=2)
    assert all(each["scores"]["teach"]["gauc"] is None for each in report["slices"])


def test_data_without_a_field_to_rank_within_has_no_gauc(finished: Run) -> None:
    meta = finished.directory / "data/prepared.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "group_field": None}))
    report = evaluate_test(finished)
    assert report["groups"] is None
    assert "gauc" not in report["scores"]["teach"]
