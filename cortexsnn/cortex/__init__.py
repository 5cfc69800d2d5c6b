"""The cortex to compare with: cited tables of timescales, and statistics that are honest about small numbers."""

from cortexsnn.cortex.compare import compare
from cortexsnn.cortex.compare import load as load_comparison
from cortexsnn.cortex.compare import save as save_comparison
from cortexsnn.cortex.statistics import RankCorrelation, SignFlipTest, rank_correlation, sign_flip_test
from cortexsnn.cortex.tables import area_means, citation, load, names

__all__ = [
    "RankCorrelation",
    "SignFlipTest",
    "area_means",
    "citation",
    "compare",
    "load",
    "load_comparison",
    "names",
    "rank_correlation",
    "save_comparison",
    "sign_flip_test",
]
