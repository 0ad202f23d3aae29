"""The four convenience scripts as data: names, folders, keys and passwords, where one differs from the others.

    sdk-c                 the bash script beside Azure's C SDK: one name for every device's files
    iotedge               the bash script of IoT Edge: the files are named after the device, with their whole chain
    sdk-c-powershell      the PowerShell functions beside the C SDK, which keep the CAs in Windows' certificate store
    iotedge-powershell    the PowerShell functions of IoT Edge: the files of its bash script, with other CA names

Light on purpose: the command line looks here before it loads a certificate library.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = "azure-iot-test-only.root.ca"
INTERMEDIATE = "azure-iot-test-only.intermediate"
CHAIN = "azure-iot-test-only.chain.ca"
ALGORITHM_FILE = "algorithmUsed.txt"
# What everybody knows; see docs/certgen.md for how to set another.
KNOWN_PASSWORD = "1234"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Keys:
    """The kinds of new keys: of CAs, and of all others."""

    ca: str
    other: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """One script. `root` and `intermediates` are (file prefix, common name), the intermediates from the root down.

    `keys` are by the script's word for the algorithm, the default one first. `serial` is what its `serial` file begins
    with; None: it keeps no index. `flat`: files beside each other, as the PowerShell functions of the C SDK have them.
    `pfx_password` None means that one must be given. `server_and_client`: a device's certificate serves as both.
    """

    name: str
    root: tuple[str, str]
    intermediates: tuple[tuple[str, str], ...]
    keys: Mapping[str, Keys]
    folders: tuple[str, ...]
    serial: str | None
    encrypts_cas: bool = True
    pfx_has_chain: bool = True
    chain_file: bool = False
    flat: bool = False
    pfx_password: str | None = ""
    server_and_client: bool = False
    remembers_algorithm: bool = False

    @property
    def is_powershell(self) -> bool:
        """Whether it is one of the two PowerShell versions."""
        return self.name.endswith("powershell")

    def issuer(self, role: str) -> str:
        """The file prefix of the CA that signs: "root" or "intermediate", which is the first one."""
        return self.root[0] if role == "root" else self.intermediates[0][0]


_FOLDERS = ("csr", "private", "certs", "newcerts")
_POWERSHELL_ROOT = "Azure IoT CA TestOnly Root CA"
_RSA_4096 = MappingProxyType({"rsa": Keys("rsa-4096", "rsa-4096")})
# The scripts' own choice for ECC in IoT Edge's PowerShell is secp256k1, which hardly any TLS library accepts.
_ECC = Keys("ec-p256", "ec-p256")

SDK_C = Dialect(
    name="sdk-c",
    root=(ROOT, "Azure IoT Hub CA Cert Test Only"),
    intermediates=((INTERMEDIATE, "Azure IoT Hub Intermediate Cert Test Only"),),
    keys=_RSA_4096,
    folders=("csr", "private", "certs", "intermediateCerts", "newcerts"),
    serial="01",
    chain_file=True,
    pfx_has_chain=False,
    pfx_password=KNOWN_PASSWORD,
)
IOTEDGE = Dialect(
    name="iotedge",
    root=(ROOT, "Azure_IoT_Hub_CA_Cert_Test_Only"),
    intermediates=((INTERMEDIATE, "Azure_IoT_Hub_Intermediate_Cert_Test_Only"),),
    keys=MappingProxyType({"rsa": Keys("rsa-4096", "rsa-2048")}),
    folders=_FOLDERS,
    serial="1000",
)
SDK_C_POWERSHELL = Dialect(
    name="sdk-c-powershell",
    root=("RootCA", _POWERSHELL_ROOT),
    intermediates=tuple((f"Intermediate{n}", f"Azure IoT CA TestOnly Intermediate {n} CA") for n in (1, 2, 3)),
    keys=MappingProxyType({"ecc": _ECC, "rsa": Keys("rsa-2048", "rsa-2048")}),
    folders=("private",),
    serial=None,
    encrypts_cas=False,
    flat=True,
    pfx_password=None,
    server_and_client=True,
    remembers_algorithm=True,
)
IOTEDGE_POWERSHELL = Dialect(
    name="iotedge-powershell",
    root=(ROOT, _POWERSHELL_ROOT),
    intermediates=((INTERMEDIATE, "Azure IoT CA TestOnly Intermediate CA"),),
    keys=MappingProxyType({"ecc": _ECC, "rsa": Keys("rsa-4096", "rsa-4096")}),
    folders=("csr", "private", "certs", "intermediateCerts", "newcerts"),
    serial="1000",
    remembers_algorithm=True,
)
DIALECTS = MappingProxyType({one.name: one for one in (SDK_C, IOTEDGE, SDK_C_POWERSHELL, IOTEDGE_POWERSHELL)})


def found_in(folder: Path) -> Dialect | None:
    """The dialect of the hierarchy that a folder holds; None where it holds none."""
    if (folder / "RootCA.pem").exists():
        return SDK_C_POWERSHELL
    if not (folder / "certs" / f"{ROOT}.cert.pem").exists():
        return None
    if (folder / ALGORITHM_FILE).exists():
        return IOTEDGE_POWERSHELL
    return SDK_C if (folder / "certs" / f"{CHAIN}.cert.pem").exists() else IOTEDGE
