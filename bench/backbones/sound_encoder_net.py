"""Encoders of sound of the library transformers. Clips have one length, so nothing is masked."""

from torch import Tensor

from bench.backbones.encoder_net import Encoder


class SoundEncoder(Encoder):
    """Takes waves [B, T], or log-mel energies [B, frames, bands]."""

    def forward(self, x: Tensor) -> Tensor:
        if self.family.sound == "whisper":
            x = x.transpose(1, 2)
        hidden = self.encoder(x).last_hidden_state
        logits: Tensor = self.head(self._pooled(hidden))
        return logits

    def _pooled(self, hidden: Tensor) -> Tensor:
        """[B, L, D] -> [B, D]"""
        if self.pooling == "mean":
            return hidden.mean(1)
        return hidden[:, : self.family.firsts].mean(1) if self.pooling == "first" else hidden[:, -1]
