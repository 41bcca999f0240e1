"""What the recipe says about curation."""

from hornbook.curation.config_classifier import ClassifierConfig
from hornbook.curation.config_duplicates import DecontaminationConfig, ExactDuplicatesConfig, NearDuplicatesConfig
from hornbook.curation.config_rules import FileRulesConfig, PassageRulesConfig
from hornbook.curation.config_selection import ArmConfig

__all__ = [
    "ArmConfig",
    "ClassifierConfig",
    "DecontaminationConfig",
    "ExactDuplicatesConfig",
    "FileRulesConfig",
    "NearDuplicatesConfig",
    "PassageRulesConfig",
]
