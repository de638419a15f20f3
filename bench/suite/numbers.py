"""Kinds of numbers and names in a suite."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

MOST = 10**9


def whole(value: Any) -> Any:
    """`steps: 1e3` means 1000: a number without a fraction counts as whole where a whole number is meant."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53 else value


def _imaginable(value: int) -> int:
    """More than that of anything is a slip of the hand, and counting up to it takes for ever."""
    if value > MOST:
        raise ValueError(f"expected at most {MOST:,}, got {value:,}")
    return value


def _for_each_channel(value: Any) -> Any:
    return (value, value, value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Name = Annotated[str, Field(min_length=1, max_length=300)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rates = Annotated[
    tuple[Rate, Rate, Rate],
    BeforeValidator(_for_each_channel, json_schema_input_type=Rate | tuple[Rate, Rate, Rate]),
]
Positives = Annotated[
    tuple[Positive, Positive, Positive],
    BeforeValidator(_for_each_channel, json_schema_input_type=Positive | tuple[Positive, Positive, Positive]),
]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Below1 = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(whole)]
Count = Annotated[int, Field(gt=0), BeforeValidator(whole), AfterValidator(_imaginable)]
