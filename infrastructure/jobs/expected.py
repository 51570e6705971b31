"""Which errors of engines and services mean that a task failed, as opposed to a fault of Mooring."""

from infrastructure.drivers.base import DriverError
from infrastructure.services.errors import ServiceError
from infrastructure.services.figures import sentence
from panel.trust.errors import TrustError
from tasks.registry import expected


@expected(DriverError)
def engine_failed(error: DriverError) -> tuple[str, str]:
    return sentence(error.message), sentence(error.advice) or ("Retry the task." if error.retryable else "")


@expected(ServiceError)
def refused(error: ServiceError) -> tuple[str, str]:
    return sentence(error.message), sentence(error.advice)


@expected(TrustError)
def no_trust(error: TrustError) -> tuple[str, str]:
    return str(error), ""
