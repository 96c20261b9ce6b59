"""Socket.IO packets: every vector of the protocol's own pages, and what is none."""

import pytest

from ingest.dialects.socketio import Packet, PacketType, packet

CONNECT, DISCONNECT, EVENT, ACK, ERROR, BINARY_EVENT, BINARY_ACK = PacketType
PLACEHOLDER = '{"_placeholder":true,"num":0}'

VECTORS = [
    ("40", Packet(CONNECT)),
    ("40/public", Packet(CONNECT, "/public")),
    ("40/public,", Packet(CONNECT, "/public")),
    ("40/public?token=x", Packet(CONNECT, "/public")),
    ("40/public?token=x,", Packet(CONNECT, "/public")),
    ('40/admin,{"sid":"x"}', Packet(CONNECT, "/admin", '{"sid":"x"}')),
    ('40{"token":"x"}', Packet(CONNECT, "/", '{"token":"x"}')),
    ("41", Packet(DISCONNECT)),
    ("41/admin,", Packet(DISCONNECT, "/admin")),
    ('42["trade",{"a":1}]', Packet(EVENT, "/", '["trade",{"a":1}]')),
    ('42/user,["channel","abc"]', Packet(EVENT, "/user", '["channel","abc"]')),
    ('4213["foo"]', Packet(EVENT, "/", '["foo"]', 13)),
    ('43/admin,13["bar"]', Packet(ACK, "/admin", '["bar"]', 13)),
    ("4313[]", Packet(ACK, "/", "[]", 13)),
    ('44/nope,"Invalid namespace"', Packet(ERROR, "/nope", '"Invalid namespace"')),
    ('44{"message":"Not authorized"}', Packet(ERROR, "/", '{"message":"Not authorized"}')),
    (f'451-["baz",{PLACEHOLDER}]', Packet(BINARY_EVENT, "/", f'["baz",{PLACEHOLDER}]', None, 1)),
    (
        f'452-/admin,7["baz",{PLACEHOLDER},{PLACEHOLDER}]',
        Packet(BINARY_EVENT, "/admin", f'["baz",{PLACEHOLDER},{PLACEHOLDER}]', 7, 2),
    ),
    (f"461-/admin,7[{PLACEHOLDER}]", Packet(BINARY_ACK, "/admin", f"[{PLACEHOLDER}]", 7, 1)),
    ('42/a b,["x,y/?"]', Packet(EVENT, "/a b", '["x,y/?"]')),
    ('42["line\n"]', Packet(EVENT, "/", '["line\n"]')),
]


@pytest.mark.parametrize(("text", "expected"), VECTORS)
def test_a_packet_reads_as_published(text: str, expected: Packet) -> None:
    assert packet(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '42{"a":1}',  # not an array
        "42[]",  # empty
        "42[7]",  # the name is not text
        '42/public["x"]',  # no comma
        '45["x"]',  # no number of attachments
        '45-["x"]',
        '47["x"]',
        "4",
        "4x",
        "",
        "2",
        "٤2[]",
        "40hello",
        "41{}",
        "43/admin,13",
        "44no",
        pytest.param(f'42{"9" * 5_000}["x"]', id="long ack"),
        pytest.param(f'45{"9" * 5_000}-["x"]', id="long count"),
    ],
)
def test_what_breaks_the_rules_is_no_packet(text: str) -> None:
    assert packet(text) is None
