"""What every section of a suite has in common: unknown keys are refused, and nothing is converted in silence."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class SuiteSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_unset(cls, value: Any) -> Any:
        """A key with nothing after it takes its default, as a section does whose lines are all commented out."""
        if not isinstance(value, dict):
            return value
        # A key nobody knows stays, to be refused by its name.
        return {k: v for k, v in value.items() if v is not None or k not in cls.model_fields}
