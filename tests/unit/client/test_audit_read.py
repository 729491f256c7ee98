"""What the SDK asks of AuditReadService: a period means the same moments on every machine."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from infosec.client.audit_read import audit_filter
from infosec.errors import InvalidInput

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=timezone(timedelta(hours=8)))


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    assert audit_filter(since=NOON).since.ToDatetime(UTC) == NOON


def test_a_moment_without_a_zone_is_refused_and_not_taken_for_utc() -> None:
    with pytest.raises(InvalidInput) as refused:
        audit_filter(until=NOON.replace(tzinfo=None))

    assert refused.value.details["field"] == "until"
