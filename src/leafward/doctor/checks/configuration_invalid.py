"""A line of IoT Edge's configuration cannot be used.

The file is no YAML or TOML, or a value is none that IoT Edge takes (an error: its services do not start), or a key is
none that it knows (a warning: it passes over the key in silence, and does something else than was meant).

Comes about: an edit by hand; a key of another version (1.1's config.yaml and 1.2's config.toml differ); a path without
file:///.

See: iotedge check; iotedge config apply says which line it does not like.

Mend: operator: correct the line that the evidence names.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("configuration-invalid", "device", "the configuration cannot be used", Stage.FILES, __doc__)
