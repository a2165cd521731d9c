from collections.abc import Callable

import pytest
import torch

from training.data.batches import TensorRows
from training.hints import HintMaps, with_hint
from training.models.base import CTRModel
from training.models.registry import names

Rows = Callable[[int, int], TensorRows]
Make = Callable[..., CTRModel]


@pytest.mark.parametrize("name", names())
def test_a_hint_is_what_the_last_linear_unit_reads_in_the_pass_that_gives_the_logits(
    name: str, small_model: Make, few_rows: Rows
) -> None:
    model, ids_BF = small_model(name, 0).eval(), few_rows(6, 0).ids_NF
    try:
        unit = model.hint_unit()
    except ValueError:
        pytest.skip("sums its terms as they are")
    calls = []
    counted = model.register_forward_hook(lambda *_: calls.append(1))
    logits_B, hint_BH = with_hint(model, ids_BF)
    counted.remove()
    assert len(calls) == 1
    assert hint_BH.shape == (6, unit.in_features)
    torch.testing.assert_close(logits_B, model(ids_BF))
    assert not unit._forward_pre_hooks


def test_a_model_that_never_calls_its_hint_unit_is_a_mistake_that_is_told(small_model: Make, few_rows: Rows) -> None:
    model = small_model("crossnet", 0)
    model.hint_unit = lambda: torch.nn.Linear(3, 1)  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="calls its hint unit 0 times"):
        with_hint(model, few_rows(2, 0).ids_NF)


def test_each_teachers_hint_has_a_map_and_the_teachers_weight() -> None:
    maps = HintMaps(3, [2, 4])
    hints, alpha_BT = [torch.randn(5, 2), torch.randn(5, 4)], torch.rand(5, 2)
    weights = [linear.weight.detach() for linear in maps.maps]
    for row, mapped_H in enumerate(maps(hints, alpha_BT)):
        expected_H = sum(alpha_BT[row, i] * weights[i] @ hints[i][row] for i in range(2))
        torch.testing.assert_close(mapped_H, expected_H)
