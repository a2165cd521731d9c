"""The optimiser of a phase: Adam, with its L2 term inside the gradient as the papers' code has it.

Embedding tables may have a weight decay of their own. On MovieLens-1M that is the one setting that matters most: ids
are seen some hundred times and remembered, the weights of interactions are shared by all rows (ECKD, section 4.1.3,
regularises embeddings alone). And they may be updated lazily: training/lazy_adam.py.
"""

from __future__ import annotations

import torch
from torch import nn

from training.config import FitOptions
from training.layers.embedding import FieldEmbedding
from training.lazy_adam import LazyAdam


def optimizer_of(modules: nn.Module, options: FitOptions) -> torch.optim.Optimizer:
    """Adam over everything that needs a gradient: embedding tables in one group, the rest in another.

    Tables are told which gradients they are to give, by `options.embedding_updates`.
    """
    embeddings = [module for module in modules.modules() if isinstance(module, FieldEmbedding)]
    for embedding in embeddings:
        embedding.sparse_gradient = options.embedding_updates == "lazy"
    tables = {id(embedding.weight_VD) for embedding in embeddings}
    trained = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    decay = options.weight_decay
    table_decay = decay if options.embedding_weight_decay is None else options.embedding_weight_decay
    groups = [
        {"params": [parameter for parameter in trained if id(parameter) not in tables], "weight_decay": decay},
        {"params": [parameter for parameter in trained if id(parameter) in tables], "weight_decay": table_decay},
    ]
    return LazyAdam([group for group in groups if group["params"]], lr=options.learning_rate, fused=True)
