"""Statistics for few layers, few areas and few seeds: exact where it can be counted, and clear about what n can show.

Every module has one idea: `permutation` and `arrangements` rank correlations, `signs` sign flips, `shuffled` the null
of shuffled layers, `slopes` the slope of log tau over depth, `summary` one number per seed, `draws`, `resampled` and
`bootstrap` intervals of nested units, `mixed` the mixed model over seeds, `effects` paired conditions, `moran`,
`variogram` and `spatial` maps, `nearest` the area nearest to a layer, and `smallest` and `power` what can be shown at
all.
"""

from cortexsnn.cortex.statistics.arrangements import LARGEST_EXACT_ARRANGEMENTS, LARGEST_EXACT_N, METHODS
from cortexsnn.cortex.statistics.bootstrap import (
    Bootstrap,
    bootstrap_difference,
    hierarchical_bootstrap,
    residual_bootstrap_slope,
)
from cortexsnn.cortex.statistics.draws import hierarchical_draws
from cortexsnn.cortex.statistics.effects import (
    PairedComparison,
    cliffs_delta,
    cohens_dz,
    holm,
    paired_comparison,
    rank_biserial,
)
from cortexsnn.cortex.statistics.mixed import MixedSlope, mixed_slope
from cortexsnn.cortex.statistics.moran import distances_between, inverse_distances, moran_surrogates, morans_i
from cortexsnn.cortex.statistics.nearest import NearestAreas, log_normal_replicates, nearest_areas
from cortexsnn.cortex.statistics.permutation import RankCorrelation, rank_correlation
from cortexsnn.cortex.statistics.power import detectable_effect, pairs_needed, what_can_be_shown
from cortexsnn.cortex.statistics.resampled import layer_slope_statistic, mean_statistic, of_observations
from cortexsnn.cortex.statistics.shuffled import ShuffledLayers, shuffled_layers
from cortexsnn.cortex.statistics.signs import LARGEST_EXACT_FLIPS, SignFlipTest, sign_flip_test
from cortexsnn.cortex.statistics.slopes import (
    LogSlope,
    SlopeStatus,
    least_squares_slopes,
    log_ratio,
    log_slope,
    relative_depth,
)
from cortexsnn.cortex.statistics.smallest import (
    Answer,
    layers_needed,
    seeds_needed,
    smallest_p_of_order,
    smallest_p_of_places,
    smallest_p_of_seeds,
    smallest_p_of_shuffled_layers,
    smallest_significant_coefficient,
)
from cortexsnn.cortex.statistics.spatial import SpatialCorrelation, spatial_correlation
from cortexsnn.cortex.statistics.summary import SeedSummary, over_seeds, ratio_over_seeds, slope_over_seeds
from cortexsnn.cortex.statistics.variogram import variogram_surrogates

__all__ = [
    "LARGEST_EXACT_ARRANGEMENTS",
    "LARGEST_EXACT_FLIPS",
    "LARGEST_EXACT_N",
    "METHODS",
    "Answer",
    "Bootstrap",
    "LogSlope",
    "MixedSlope",
    "NearestAreas",
    "PairedComparison",
    "RankCorrelation",
    "SeedSummary",
    "ShuffledLayers",
    "SignFlipTest",
    "SlopeStatus",
    "SpatialCorrelation",
    "bootstrap_difference",
    "cliffs_delta",
    "cohens_dz",
    "detectable_effect",
    "distances_between",
    "hierarchical_bootstrap",
    "hierarchical_draws",
    "holm",
    "inverse_distances",
    "layer_slope_statistic",
    "layers_needed",
    "least_squares_slopes",
    "log_normal_replicates",
    "log_ratio",
    "log_slope",
    "mean_statistic",
    "mixed_slope",
    "moran_surrogates",
    "morans_i",
    "nearest_areas",
    "of_observations",
    "over_seeds",
    "paired_comparison",
    "pairs_needed",
    "rank_biserial",
    "rank_correlation",
    "ratio_over_seeds",
    "relative_depth",
    "residual_bootstrap_slope",
    "seeds_needed",
    "shuffled_layers",
    "sign_flip_test",
    "slope_over_seeds",
    "smallest_p_of_order",
    "smallest_p_of_places",
    "smallest_p_of_seeds",
    "smallest_p_of_shuffled_layers",
    "smallest_significant_coefficient",
    "spatial_correlation",
    "variogram_surrogates",
    "what_can_be_shown",
]
