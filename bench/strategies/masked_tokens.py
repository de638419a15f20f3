"""The part of a recipe that learns texts without labels; `continued_pretraining.py` and pretraining inside a suite have
it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.errors import NotApplicable
from bench.spec.parts import Net, Penalty, Setting, Term
from bench.strategies.lazy import capture, masked, tokens, torch


@dataclass(frozen=True, kw_only=True)
class MaskedTokens(Penalty):
    """In its phases the network learns from unlabelled texts alone."""

    name: str = "masked_tokens"
    needs: ClassVar = ("a network that reads tokens",)
    phases: int | None = 1  # the first so many; None: all

    def begin(self, setting: Setting) -> Term:
        module = setting.network.module
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            filler = masked.filler_of(module, capture.classifier_of(setting.network).in_features)
        if not setting.pipeline.has_mask:
            raise NotApplicable(tokens.NO_MASK)
        mask = tokens.mask_of(setting.pipeline)
        return Term((setting, setting.generator("masked tokens"), mask), filler.to(setting.images.device))

    def apart(self, term: Term, network: Net, phase: int) -> torch.Tensor | None:
        if self.phases is not None and phase >= self.phases:
            return None
        setting, draw, mask = term.kept
        filler = term.modules
        assert isinstance(filler, masked.Filler)
        texts, _ = setting.batch(setting.unlabelled, draw)
        seen, wanted = masked.hidden_tokens(texts, mask, len(filler.bias), draw)
        return masked.fill(network.module, filler, seen, wanted).loss

    def apart_on(self, network: Net, inputs: torch.Tensor, phase: int) -> torch.Tensor | None:
        if self.phases is not None and phase >= self.phases:
            return None
        filler = masked.filler_of(network.module, capture.classifier_of(network).in_features)
        return masked.fill_some(network.module, filler.to(inputs.device), inputs)
