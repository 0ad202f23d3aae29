"""The `api-version` that every call of the workload and management APIs carries (`edgelet-http/src/version.rs`)."""

from leafward.errors import EncodingError

API_VERSIONS = (
    "2018-06-28",
    "2019-01-30",
    "2019-10-22",
    "2019-11-05",
    "2020-07-07",
    "2021-12-07",
    "2022-08-03",
)
LATEST = API_VERSIONS[-1]


def check_api_version(version: str | None) -> str:
    """`version` if it is one we speak. Raises `EncodingError` that lists them; HTTP answers 400."""
    if version is None:
        raise EncodingError("the api-version is missing", why=f"expected one of {', '.join(API_VERSIONS)}")
    if version not in API_VERSIONS:
        why = f"got {version[:32]!r}, expected one of {', '.join(API_VERSIONS)}"
        raise EncodingError("the api-version is not one of ours", why=why)
    return version
