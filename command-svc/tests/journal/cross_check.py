"""The official Python client against the stub: it reads what Netkeep wrote, and writes what Netkeep reads.

Arguments: the address of the server, a stream that Netkeep wrote to, and a data file in which each line is a commit:
the first ones are in the stream already, the last one is to be appended to it.
"""

import json
import sys
import uuid

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import NotFoundError, WrongCurrentVersionError

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def event_id(commit):
    """The id of a commit is a ULID, and the event id is the same 128 bits."""
    number = 0
    for char in json.loads(commit)["id"].removeprefix("cmt_"):
        number = number * 32 + CROCKFORD.index(char)
    return uuid.UUID(int=number)


def main(address, stream, file):
    commits = open(file, "rb").read().splitlines()
    written, following = commits[:-1], commits[-1]
    client = KurrentDBClient(uri=f"esdb://{address}?Tls=false")

    events = client.get_stream(stream)
    assert [event.data for event in events] == written
    assert [event.id for event in events] == [event_id(commit) for commit in written]
    assert [event.stream_position for event in events] == list(range(len(written)))
    assert {event.type for event in events} == {"netkeep.commit.v1"}
    assert {event.content_type for event in events} == {"application/json"}
    assert {event.stream_name for event in events} == {stream}
    newest_first = client.get_stream(stream, backwards=True, limit=2)
    assert [event.data for event in newest_first] == written[:-3:-1]
    assert [event.data for event in client.get_stream(stream, stream_position=1)] == written[1:]

    everything = list(client.read_all(filter_exclude=()))
    assert [event.data for event in everything if event.stream_name == stream] == written
    positions = [event.commit_position for event in everything]
    assert positions == sorted(set(positions))
    rest = list(client.read_all(commit_position=positions[1], filter_exclude=()))
    assert [event.commit_position for event in rest] == positions[1:], "reading begins with the event at the position"

    try:
        client.get_stream("netkeep-nobody")
        raise AssertionError("a stream that is not there was read")
    except NotFoundError:
        pass

    new = NewEvent(type="netkeep.commit.v1", data=following, id=event_id(following))
    for wrong in (StreamState.NO_STREAM, len(written) - 2, len(written)):
        try:
            client.append_to_stream(stream, events=new, current_version=wrong)
            raise AssertionError(f"appended on {wrong}")
        except WrongCurrentVersionError:
            pass
    first = client.append_to_stream(stream, events=new, current_version=len(written) - 1)
    # The same once more is taken for done.
    assert client.append_to_stream(stream, events=new, current_version=len(written) - 1) == first
    assert len(client.get_stream(stream)) == len(written) + 1
    client.close()
    print("cross-checked", len(written) + 1)


main(*sys.argv[1:])
