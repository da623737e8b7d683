"""What Amazon S3 charges for requests and stored bytes, by its list prices. Pure arithmetic, and the only place with prices."""

from dataclasses import dataclass

# Amazon S3 Standard, us-east-1, https://aws.amazon.com/s3/pricing/. USD; requests per 1,000.
USD_PER_1000_WRITES = 0.005
USD_PER_1000_READS = 0.0004
USD_PER_GB_MONTH = 0.023  # the first 50 TB
# What each kind of request is charged as. A copy is a PUT; DELETE is free, also that of many objects by one POST.
CHARGES = {
    "PUT": "write",
    "POST": "write",
    "LIST": "write",
    "GET": "read",
    "HEAD": "read",
    "OTHER": "read",
    "DELETE": "free",
}

DAY_S = 86_400
DAYS_IN_MONTH = 365.25 / 12
MONTH_S = DAYS_IN_MONTH * DAY_S
GB = 1_000_000_000


@dataclass(frozen=True)
class Requests:
    """Numbers of requests by what S3 charges for them."""

    writes: float = 0.0
    reads: float = 0.0

    @classmethod
    def of(cls, kinds):
        """Those of a mapping from the kind of request to a number."""
        charged = {"write": 0.0, "read": 0.0, "free": 0.0}
        for kind, number in kinds.items():
            charged[CHARGES[kind]] += number
        return cls(charged["write"], charged["read"])

    def __add__(self, other):
        return Requests(self.writes + other.writes, self.reads + other.reads)

    def __mul__(self, factor):
        return Requests(self.writes * factor, self.reads * factor)

    def usd(self):
        return self.writes / 1000 * USD_PER_1000_WRITES + self.reads / 1000 * USD_PER_1000_READS


def usd(kinds, stored_bytes=0):
    """The price of requests, by kind, and of bytes that are stored for a month."""
    return Requests.of(kinds).usd() + stored_bytes / GB * USD_PER_GB_MONTH
