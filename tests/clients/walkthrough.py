"""One whole walkthrough with the Python client that openapi-python-client makes of /openapi.json.

    walkthrough.py URL TOKEN, with the package netkeep_client on PYTHONPATH
"""

import sys
from http import HTTPStatus

from netkeep_client import AuthenticatedClient
from netkeep_client.api.addresses import create_address, delete_address, list_addresses, show_address, update_address
from netkeep_client.api.rules import create_rule, delete_rule, list_rules, update_rule
from netkeep_client.api.setup_keys import create_setup_key
from netkeep_client.api.sql import sql
from netkeep_client.api.zone_policies import create_zone_policy
from netkeep_client.models import (
    Action, Address, AddressPatch, DryRun, Error, ListingAddress, ListingRule, NewAddress, NewRule, NewSetupKey,
    NewZonePolicy, Query, Reason, Rule, RulePatch, SetupKeyState, SetupKeyType, SetupKeyWithSecret, SqlAnswer, ZonePolicy,
)


def expect(response, status, of_type):
    """The body of an answer that has this status and this type."""
    assert response.status_code == status, response
    assert isinstance(response.parsed, of_type), response
    return response.parsed


def walk(client):
    new = NewZonePolicy(zone_from="GUEST", zone_to="LAN", action=Action.DROP, log=True)
    tried = create_zone_policy.sync_detailed(client=client, body=new, dry_run=True)
    assert expect(tried, HTTPStatus.OK, DryRun).events == ["zone_policy.created"]
    policy = expect(create_zone_policy.sync_detailed(client=client, body=new), HTTPStatus.CREATED, ZonePolicy)
    assert policy.zone_from == "GUEST" and policy.action is Action.DROP

    new = NewAddress(name="web servers", entries=["192.0.2.10", "2001:db8::/64"])
    created = create_address.sync_detailed(client=client, body=new)
    address = expect(created, HTTPStatus.CREATED, Address)
    again = create_address.sync_detailed(client=client, body=new)
    assert expect(again, HTTPStatus.CONFLICT, Error).error.reason is Reason.NAME_TAKEN

    new = NewRule(name="to web", zone_from="WAN", zone_to="LAN", action=Action.ACCEPT, protocol="tcp", ports=["443"],
        destinations=[address.id])
    made = create_rule.sync_detailed(client=client, body=new)
    rule = expect(made, HTTPStatus.CREATED, Rule)
    position = int(made.headers["Netkeep-Position"])
    listed = list_rules.sync_detailed(client=client, filter_='obj.name == "to web"', netkeep_min_position=position)
    listed = expect(listed, HTTPStatus.OK, ListingRule)
    assert [shown.id for shown in listed.data] == [rule.id] and listed.meta.total == 1
    assert listed.data[0].created_at.tzinfo is not None

    # Two change the rule at once; the second is told, reads again and tries again.
    etag = made.headers["ETag"]
    patch = RulePatch(enabled=False)
    changed = update_rule.sync_detailed(rule.id, client=client, body=patch, if_match=etag)
    assert expect(changed, HTTPStatus.OK, Rule).enabled is False
    late = update_rule.sync_detailed(rule.id, client=client, body=RulePatch(log=True), if_match=etag)
    late = expect(late, HTTPStatus.PRECONDITION_FAILED, Error)
    assert late.error.reason is Reason.REVISION_MISMATCH and late.error.operation_id.startswith("op_")
    retried = update_rule.sync_detailed(
        rule.id, client=client, body=RulePatch(log=True), if_match=changed.headers["ETag"]
    )
    rule = expect(retried, HTTPStatus.OK, Rule)
    assert rule.log and not rule.enabled

    renamed = update_address.sync_detailed(address.id, client=client, body=AddressPatch(name="web"))
    position = int(renamed.headers["Netkeep-Position"])
    shown = show_address.sync_detailed(address.id, client=client, netkeep_min_position=position)
    assert expect(shown, HTTPStatus.OK, Address).name == "web"

    # What is in use stays; then both go.
    used = delete_address.sync_detailed(address.id, client=client)
    assert expect(used, HTTPStatus.CONFLICT, Error).error.reason is Reason.RESOURCE_IN_USE
    assert delete_rule.sync_detailed(rule.id, client=client).status_code == HTTPStatus.NO_CONTENT
    gone = delete_address.sync_detailed(address.id, client=client)
    assert gone.status_code == HTTPStatus.NO_CONTENT, gone
    position = int(gone.headers["Netkeep-Position"])
    left = list_addresses.sync_detailed(client=client, netkeep_min_position=position)
    assert expect(left, HTTPStatus.OK, ListingAddress).data == []

    new = NewSetupKey(name="fleet", type_=SetupKeyType.REUSABLE, expires_in=3600)
    created = create_setup_key.sync_detailed(client=client, body=new)
    key = expect(created, HTTPStatus.CREATED, SetupKeyWithSecret)
    assert key.key.startswith("nks_") and key.state is SetupKeyState.VALID

    query = Query(query="SELECT name, count(*) AS n FROM setup_keys WHERE name = $1 GROUP BY name", params=["fleet"])
    position = int(created.headers["Netkeep-Position"])
    answer = sql.sync_detailed(client=client, body=query, netkeep_min_position=position)
    answer = expect(answer, HTTPStatus.OK, SqlAnswer)
    assert [column.name for column in answer.columns] == ["name", "n"], answer
    assert answer.data == [["fleet", 1]], answer


def main():
    url, token = sys.argv[1:]
    with AuthenticatedClient(base_url=url, token=token) as client:
        walk(client)
    print("walked through")


main()
