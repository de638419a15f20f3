"""Every key a suite may hold. A change here is a change for everybody who has written a suite."""

from types import ModuleType

from bench.suite import (
    claims_schema,
    recipe_schema,
    references_schema,
    schema,
    search_schema,
    study_schema,
    training_schema,
)
from bench.suite.section import SuiteSection
from bench.suite.words import annotations

SURFACE = {
    "Suite": "name description transferability datasets backbones strategies pitfalls claims references head training "
    "search engine records verdicts decision gate repeats max_runs seed",
    "DatasetSpec": "name labels_per_class fraction total splits options classes metric test label",
    "ClassesSpec": "names group half split",
    "TransferabilitySpec": "dataset options backbone labels_per_class splits groups directions keep treatments "
    "reading",
    "ClaimSpec": "name claim source value where more less beyond above within between",
    "CellsSpec": "dataset labels times backbone strategy pitfall pair treatment keep",
    "DifferenceSpec": "more less",
    "TestSpec": "resplit",
    "VerdictsSpec": "margin reached",
    "DecisionSpec": "margin",
    "BackboneSpec": "name weights pretrain options units image_size takes mean std interpolation crop label",
    "PretrainingSpec": "dataset options classes objective epochs batch_size optimizer lr weight_decay shift seed seeds "
    "allow_overlap",
    "HeadSpec": "start mlp dropout",
    "StrategySpec": "name options recipe stop_early head",
    "RecipeScheduleSpec": "rise start end shape cycles",
    "RecipeSpec": "name init reinit phases anneal rate_scale tensors statistics schedule length decays average "
    "stop_early axis",
    "AxisSpec": "name value kind",
    "StopSpec": "moments by",
    "PhaseSpec": "share rates",
    "TrainingSpec": "steps epochs flops batch_size optimizer momentum weight_decay schedule warmup label_smoothing "
    "augment evaluations",
    "AugmentSpec": "flip shift crop views text sound",
    "TextAugmentSpec": "mask drop",
    "SoundAugmentSpec": "shift noise time_masks mel_masks widest",
    "SearchSpec": "trials budget sampler pruner first_rung lr weight_decay validation holdout scope finals",
    "FoldsSpec": "folds",
    "Range": "low high",
    "EngineSpec": "precision partition fleet deterministic",
    "RecordsSpec": "predictions distances forecasts similarity samples",
    "GateSpec": "margin must_see",
}

PART = "dataset labels_per_class fraction total backbone strategy pair treatment keep protocol"
REFERENCES = {
    "ReferencesSpec": "source address tables",
    "TableSpec": f"{PART} table checked columns rows",
    "PartSpec": PART,
    "RowSpec": f"{PART} called values",
    "ProtocolSpec": "pretraining weights steps batch_size image_size settings reads average repeats metric notes",
}


def test_the_keys_of_a_suite() -> None:
    assert keys_of(schema, recipe_schema, study_schema, claims_schema, search_schema, training_schema) == SURFACE


def test_the_keys_of_a_file_of_published_values() -> None:
    assert keys_of(references_schema) == REFERENCES


def keys_of(*modules: ModuleType) -> dict[str, str]:
    found = {name: value for module in modules for name, value in vars(module).items() if isinstance(value, type)}
    return {
        name: " ".join(annotations(value))
        for name, value in found.items()
        if issubclass(value, SuiteSection) and value is not SuiteSection
    }
