"""How a run and its phases are set: every key of [run], [teach], [distill] and [finetune], with what it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Option


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RunOptions(_Options):
    """[run]"""

    name: str = Option(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Names the run's directory and the bundles made from it."""
    seed: int = Option(ge=0, lt=2**31)
    """Seeds initialisation and the order of batches; the split has the data set's own seed."""
    finetune: bool = True
    """Whether the distilled student is trained on clicks afterwards (KD-DAGFM). false: it is finished (ECKD), and there
    is no section [finetune]."""
    threads: int = Option(default=1, ge=1)
    """Threads of torch. Part of a run because sums in another order give other last digits: with the number fixed, a
    run gives the same figures on any number of cores."""


class FitOptions(_Options):
    """[teach] and [finetune]: training on clicks alone."""

    learning_rate: float = Option(gt=0)
    """Adam's step size."""
    weight_decay: float = Option(ge=0)
    """L2 term in Adam's gradient, on every parameter."""
    embedding_weight_decay: float | None = Option(default=None, ge=0)
    """The same for embedding tables, where it is to be another. Left out: weight_decay."""
    embedding_updates: Literal["dense", "lazy"] = "dense"
    """`dense`: every embedding moves at every step, as in the papers. `lazy`: those of a batch alone, several times
    faster where tables have millions of rows; their weight decay then acts as often as they occur, and wants to be
    chosen anew."""
    batch_size: int = Option(ge=1)
    """Rows per step."""
    max_epochs: int = Option(ge=1)
    """Stop after this many passes over the training rows in any case."""
    decay: Literal["none", "linear"] = "none"
    """`linear`: the step size falls to zero over max_epochs; `none`: it stays."""
    patience: int = Option(ge=1)
    """Stop after this many epochs without a better validation metric."""
    average: float = Option(default=0.0, ge=0, lt=1)
    """Decay of a moving average of the weights, per step; the average is what is validated and kept. 0: none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the matrix products in training. bfloat16 is several times faster on CPUs that multiply it in
    hardware, slower on others, and changes the last digits of every figure. Weights, sums and losses stay float32."""
    max_steps_per_epoch: int | None = Option(default=None, ge=1)
    """Cut an epoch short; for trials of the path, not for results."""


class DistillOptions(FitOptions):
    """[distill]: training on teachers' logits and on clicks.

    loss = click_weight · L_CTR                                      eq. 14 of KD-DAGFM; γ · L_CE of eq. 7 of ECKD
         + logit_weight · mean((z_T - z_S)²)                         eq. 12 of KD-DAGFM
         + soft_label_weight · CE(σ(z_T / τ), σ(z_S / τ))            eq. 8 of ECKD, its weight β of eq. 7
         + hint_weight · ‖W v_T - v_S‖²                              eq. 9 of ECKD, its weight β of eq. 7

    The last three together are the distillation loss. Weights are named for what they multiply, because sources
    disagree on which of them is alpha.
    """

    click_weight: float = Option(ge=0)
    """Multiplies the click loss; 0: the student sees no label."""
    logit_weight: float = Option(default=0.0, ge=0)
    """Multiplies the mean squared gap between teacher and student logits."""
    soft_label_weight: float = Option(default=0.0, ge=0)
    """Multiplies the cross-entropy between the teacher's and the student's softened probabilities."""
    temperature: float = Option(default=1.0, gt=0)
    """τ of the soft labels. Their gradient falls with 1 / τ²: no factor τ² makes up for it, as in the paper."""
    hint_weight: float = Option(default=0.0, ge=0)
    """Multiplies the squared distance of hidden representations, summed over their numbers; 1e-6 to 1e-3 in ECKD."""
    scheme: Literal["pre_train", "co_train"] = "pre_train"
    """`pre_train`: teachers are finished. `co_train`: they learn clicks at the same time, nothing from the student."""
    combine: Literal["average", "fixed", "gate"] = "average"
    """How several teachers' logits become one: mean, teacher_weights, or a gate learned with the student."""
    teacher_weights: tuple[float, ...] = ()
    """With combine = "fixed": a positive number for each teacher, in their order; divided by their sum."""
    gate_click_weight: float = Option(default=0.0, ge=0)
    """With combine = "gate": multiplies the click loss of the gated teachers themselves. The paper has none (0): its
    gate learns from the distillation loss alone, which does not say which teacher is right."""
    logits: Literal["all", "out_of_fold"] = "all"
    """`out_of_fold`: on a row that some teachers were not trained on, those alone are heard."""
    teacher_logits: Literal["cached", "on_the_fly"] = "cached"
    """`cached`: computed once, kept on disk. `on_the_fly`: in every step, for teachers too light to be worth a file."""
    embeddings: Literal["teacher_frozen", "teacher_start", "own"] = "teacher_frozen"
    """The student's table: the first teacher's, frozen (KD-DAGFM), a copy of it that is trained, or its own (ECKD)."""
    select: Literal["auc", "logit_gap", "distillation_loss"] = "auc"
    """Which epoch is kept, measured on the validation rows: AUC on clicks, the squared gap to the teacher, or the whole
    distillation loss (early stopping of ECKD, section 3.4.2)."""
    train_on_validation: bool = False
    """Whether the validation rows are trained on too. `select` is then measured on rows that the student has seen: the
    teachers, stopped on these rows in time, are what keeps it from overfitting."""
    recombined_rows: int = Option(default=0, ge=0)
    """Unlabelled rows to add: the context of one training row with the candidate of another, judged by the teachers."""

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        for message in _clashes(self):
            raise ValueError(message)
        return self


def _clashes(options: DistillOptions) -> Iterator[str]:
    """What does not go together, each with what is expected instead."""
    given, co_train = list(options.teacher_weights), options.scheme == "co_train"
    if not (options.logit_weight or options.soft_label_weight or options.hint_weight):
        yield "logit_weight, soft_label_weight and hint_weight are all 0; expected at least one above 0"
    if bool(given) != (options.combine == "fixed"):
        yield f"teacher_weights is {given}, combine is {options.combine!r}; expected them with 'fixed' and only there"
    if any(weight <= 0 for weight in given):
        yield f"teacher_weights is {given}; expected numbers above 0: leave other teachers out"
    if options.gate_click_weight and options.combine != "gate":
        yield f"gate_click_weight is {options.gate_click_weight}, combine is {options.combine!r}; expected 'gate', or 0"
    if options.train_on_validation and options.select == "auc":
        yield (
            "select is 'auc', but train_on_validation is true: it would be measured on rows that were trained on; "
            "expected 'distillation_loss' or 'logit_gap'"
        )
    if co_train and options.embeddings != "own":
        yield f"embeddings is {options.embeddings!r}, but with scheme 'co_train' tables change; expected 'own'"
    if co_train and options.logits == "out_of_fold":
        yield "logits is 'out_of_fold', but with scheme 'co_train' all teachers see the same rows; expected 'all'"
