"""Written by nanogen. B rows, T positions."""

import torch
import torch.nn.functional as F
from torch import nn

from runtime.primitives import CausalConv, Embedding, Linear, Now, attend, rms_norm, rope, rope_table, softcap


class Slc2(nn.Module):
    """[module.slc2]  x (B T 16) -> y (B T 16)"""

    def __init__(self):
        super().__init__()
        self.alpha = Linear(16, 2)
        self.a = Linear(16, 8)
        self.b = Linear(16, 16)
        self.v = Linear(16, 16)
        self.conv = CausalConv(16, 3)
        self.y = Linear(16, 16)

    def forward(self, x, now):
        alpha = self.alpha(x)                                           # B T 2
        a = self.a(x)                                                   # B T 8
        b = self.b(x)                                                   # B T 16
        v = self.v(x)                                                   # B T 16
        gate = F.silu((F.silu(alpha)[..., :, None] * a[..., None, :]).flatten(2))  # B T 16
        conv = self.conv(gate * v, now["conv"])                         # B T 16
        y = self.y(b * F.silu(conv))                                    # B T 16
        return y


class Mlp(nn.Module):
    """[module.mlp]  x (B T 16) -> y (B T 16)"""

    def __init__(self):
        super().__init__()
        self.up = Linear(16, 64)
        self.y = Linear(64, 16)

    def forward(self, x):
        up = self.up(x)                                                 # B T 64
        y = self.y(F.relu(up).square())                                 # B T 16
        return y


class TrunkSlc2(nn.Module):
    """[stack.trunk]  mixer = slc2  x (B T 16) -> x (B T 16)"""

    def __init__(self):
        super().__init__()
        self.mix = Slc2()
        self.mlp = Mlp()

    def forward(self, x, now):
        mix = self.mix(rms_norm(x), now["mix"])                         # B T 16
        h = x + mix                                                     # B T 16
        mlp = self.mlp(rms_norm(h))                                     # B T 16
        x = h + mlp                                                     # B T 16
        return x


class Attention(nn.Module):
    """[module.attention]  x (B T 16) -> y (B T 16)"""

    def __init__(self):
        super().__init__()
        self.q = Linear(16, 16)
        self.k = Linear(16, 16)
        self.v = Linear(16, 16)
        self.y = Linear(16, 16)

    def forward(self, x, now):
        q = self.q(x)                                                   # B T 16
        k = self.k(x)                                                   # B T 16
        v = self.v(x)                                                   # B T 16
        qn = rms_norm(rope(q.unflatten(-1, (2, 8)), now.tables["rope"]))  # B T 2 8
        kn = rms_norm(rope(k.unflatten(-1, (2, 8)), now.tables["rope"]))  # B T 2 8
        mix = attend(qn, kn, v.unflatten(-1, (2, 8)), now["mix"])       # B T 2 8
        y = self.y(mix.flatten(2))                                      # B T 16
        return y


class TrunkAttention(nn.Module):
    """[stack.trunk]  mixer = attention  x (B T 16) -> x (B T 16)"""

    def __init__(self):
        super().__init__()
        self.mix = Attention()
        self.mlp = Mlp()

    def forward(self, x, now):
        mix = self.mix(rms_norm(x), now["mix"])                         # B T 16
        h = x + mix                                                     # B T 16
        mlp = self.mlp(rms_norm(h))                                     # B T 16
        x = h + mlp                                                     # B T 16
        return x


class Model(nn.Module):
    """[model]  tokens (B T) -> logits (B T 270)"""

    def __init__(self):
        super().__init__()
        self.embed = Embedding(270, 16)
        self.trunk = nn.ModuleList([
            TrunkSlc2(), TrunkAttention(),
        ])
        self.head = Linear(16, 270)

    def forward(self, tokens, now=None):
        return self._logits(*self._layers(tokens, now))

    def _layers(self, tokens, now=None):
        now = now or Now.start(tokens)
        now.tables["rope"] = rope_table(now.positions, 8, base=10000, direction=-1, dtype=torch.bfloat16)
        embed = self.embed(tokens, now.dtype)                           # B T 16
        trunk = rms_norm(embed)                                         # B T 16
        for i, layer in enumerate(self.trunk):
            trunk = layer(trunk, now["trunk"][i])                       # B T 16
        return (trunk,)

    def _logits(self, trunk):
        head = self.head(rms_norm(trunk))                               # B T 270
        logits = softcap(head, 15)                                      # B T 270
        return logits
