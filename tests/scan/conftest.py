from tests.realparts.clamd import clamd
from tests.realparts.icap import icap
from tests.realparts.rspamd import rspamd
from tests.realparts.spamd import spamd
from tests.realparts.sssp import sssp

__all__ = ["clamd", "icap", "rspamd", "spamd", "sssp"]
