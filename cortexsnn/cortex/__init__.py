"""The cortex to compare with: cited tables of timescales, and statistics that are honest about small numbers."""

from cortexsnn.cortex.compare import compare
from cortexsnn.cortex.compare import load as load_comparison
from cortexsnn.cortex.compare import save as save_comparison
from cortexsnn.cortex.matching import measure_like
from cortexsnn.cortex.protocols import ProtocolDifference, protocol_difference
from cortexsnn.cortex.registering import open_table, register
from cortexsnn.cortex.statistics import RankCorrelation, SignFlipTest, rank_correlation, sign_flip_test
from cortexsnn.cortex.tables import area_means, citation, joined, load, names, protocol, rows

__all__ = [
    "ProtocolDifference",
    "RankCorrelation",
    "SignFlipTest",
    "area_means",
    "citation",
    "compare",
    "joined",
    "load",
    "load_comparison",
    "measure_like",
    "names",
    "open_table",
    "protocol",
    "protocol_difference",
    "rank_correlation",
    "register",
    "rows",
    "save_comparison",
    "sign_flip_test",
]
