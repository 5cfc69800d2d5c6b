"""Networks of other frameworks, read and written exactly or refused by name.

None of the frameworks is needed until one of these functions is called.
"""

from cortexsnn.exchange.nir import from_nir, to_nir
from cortexsnn.exchange.norse import from_norse
from cortexsnn.exchange.snntorch import from_snntorch

__all__ = ["from_nir", "from_norse", "from_snntorch", "to_nir"]
