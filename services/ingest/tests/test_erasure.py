from datetime import UTC, datetime

from http_api import key_file
from ingest.application.ports import SourceAway


async def test_a_wish_is_kept_under_the_hash_and_answered_with_its_moment(service):
    before = datetime.now(UTC)
    answer = await service.client.delete("/v1/users/alice@example.org/feedback")
    assert answer.status_code == 202
    told = answer.json()
    assert told["erasure_id"] == "erasure-1"
    assert before <= datetime.fromisoformat(told["erased_before"]) <= datetime.now(UTC)
    assert service.places.erased == [(service.tokens.user_hash("alice@example.org"), "anonymous")]


async def test_only_an_operator_may_erase_and_the_account_says_who(make_service, keys_file):
    writer, _ = key_file.create(keys_file, ["feedback:write", "read"])
    operator, entry = key_file.create(keys_file, ["operate"])
    service = make_service(keys_file=keys_file)
    path = "/v1/users/alice/feedback"
    assert (await service.client.delete(path)).status_code == 401
    refused = await service.client.delete(path, headers={"authorization": f"Bearer {writer}"})
    assert refused.status_code == 403
    assert service.places.erased == []
    assert (await service.client.delete(path, headers={"authorization": f"Bearer {operator}"})).status_code == 202
    assert [who for _, who in service.places.erased] == [entry.id]


async def test_where_the_lake_is_away_nothing_is_promised(service):
    service.places.lake_away = SourceAway("the lake does not answer")
    answer = await service.client.delete("/v1/users/alice/feedback")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
