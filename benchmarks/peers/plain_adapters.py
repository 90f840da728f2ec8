# SPDX-License-Identifier: Apache-2.0
"""PMSS and LoReFT as a reader of the papers would write them in PyTorch: the peers of what has no package, or whose package is not at hand."""
import torch
from torch.nn.functional import linear

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Pmss(torch.nn.Module):
    """W0 x + s C U R x: C and R are copies. Random indices cost what pivots cost."""

    def __init__(self, base, rank):
        super().__init__()
        weight = base.weight.data
        k = min(rank, *weight.shape)
        self.base = base
        chosen = lambda count: torch.randperm(count, device=weight.device)[:k]
        self.register_buffer("C", weight[:, chosen(weight.shape[1])].contiguous())
        self.register_buffer("R", weight[chosen(weight.shape[0])].contiguous())
        self.U = torch.nn.Parameter(torch.zeros(k, k, device=weight.device))

    def forward(self, x):
        core = linear(linear(x, self.R).to(self.U.dtype), self.U).to(x.dtype)
        return self.base(x) + 2 * linear(core, self.C)


def add_pmss(model, rank):
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and name.rsplit(".", 1)[-1] in LINEARS:
            parent, leaf = name.rsplit(".", 1)
            setattr(model.get_submodule(parent), leaf, Pmss(module, rank))


class LoReft(torch.nn.Module):
    """h + R' (W h + b - R h) with orthonormal rows of R, at the same positions of every sequence."""

    def __init__(self, width, rank, positions, device):
        super().__init__()
        self.positions = positions
        self.source = torch.nn.Linear(width, rank, device=device, dtype=torch.float32)
        rows = torch.nn.Linear(width, rank, bias=False, device=device, dtype=torch.float32)
        self.rows = torch.nn.utils.parametrizations.orthogonal(rows, orthogonal_map="householder")

    def forward(self, h):
        chosen = h[:, self.positions].float()
        rows = self.rows.weight
        edited = h.clone()
        edited[:, self.positions] = (chosen + (self.source(chosen) - linear(chosen, rows)) @ rows).to(h.dtype)
        return edited


def add_loreft(model, rank, positions):
    """On the output of every block."""
    for layer in model.model.layers:
        layer.reft = LoReft(model.config.hidden_size, rank, positions, layer.mlp.up_proj.weight.device)

        def edit(module, _, output):
            return (module.reft(output[0]), *output[1:]) if isinstance(output, tuple) else module.reft(output)

        layer.register_forward_hook(edit)
