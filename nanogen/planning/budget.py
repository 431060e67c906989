"""What a budget of training FLOPs buys: tokens, steps, and hours and money on given hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from nanogen.planning.hardware import Hardware


HOUR = 3600


@frozen
class Purchase:
    """What one model gets for `flops`; hours are known where the hardware is, money where its price is."""

    flops: float
    tokens: int
    tokens_per_parameter: float
    steps: int  # whole batches
    hours: float | None
    dollars: float | None


def purchase(
    flops: float, *, per_token: float, parameters: int, batch_tokens: int, hardware: Hardware | None = None
) -> Purchase:
    """Spend a budget on a model that costs `per_token` FLOPs a token to train."""
    tokens = int(flops / per_token)
    hours = None if hardware is None else tokens * per_token / hardware.flops_per_second / HOUR
    price = None if hardware is None else hardware.dollars_an_hour
    return Purchase(
        flops=flops,
        tokens=tokens,
        tokens_per_parameter=tokens / parameters,
        steps=tokens // batch_tokens,
        hours=hours,
        dollars=None if hours is None or price is None else hours * price,
    )
