"""The chain is for development.

The names say that it comes from leafward up, from the convenience scripts or from IoT Edge's quickstart. Its keys lie
in a folder of scripts with a password out of the manual, or beside the gateway's own: whoever reads them can be any
device of this hierarchy. Nothing refuses it; it has no place in a product.

Comes about: the gateway was set up to be tried out, and stayed.

See: leafward chain HOST:PORT shows the names; leafward manager status says that the device CA is a development one.

Mend: maker: issue a device CA of your own (leafward ca init, leafward ca device). Operator: name it in
device_ca_certificate, and set production = true so that a development one is refused.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("development-certificate", "time", __doc__)
