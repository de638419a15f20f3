"""What a strategy comes to, for tests: its recipe, its rates, and a network to try them on."""

from timm.models.vision_transformer import VisionTransformer

from bench import strategies
from bench.network.units import cut_into_units


def build(name, num_units=4, **options):
    entry = strategies.find(name)
    return entry.build(entry.options.model_validate(options), num_units)


def rates(recipe):
    return [phase.rates for phase in recipe.phases]


def blocks_of(depth):
    """A ViT of so many blocks, cut finely: stem, blocks, head."""
    vit = VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=depth, num_heads=2, num_classes=3)
    return cut_into_units(vit, coarse=False)
