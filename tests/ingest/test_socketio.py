"""Socket.IO packets: every row of the protocol's tables, and whatever else may come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dialects.socketio import NotAPacket, Packet, Type, parse

PLACED = '["baz",{"_placeholder":true,"num":0}]'
TWICE = '["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'

VECTORS = [
    ("40", Packet(Type.CONNECT)),
    ("40/public", Packet(Type.CONNECT, "/public")),
    ("40/public,", Packet(Type.CONNECT, "/public")),
    ("40/public?token=x", Packet(Type.CONNECT, "/public")),
    ("40/public?token=x,", Packet(Type.CONNECT, "/public")),
    ('40{"sid":"x"}', Packet(Type.CONNECT, content='{"sid":"x"}')),
    ('40/admin,{"sid":"x"}', Packet(Type.CONNECT, "/admin", content='{"sid":"x"}')),
    ('42["trade",{"a":1}]', Packet(Type.EVENT, content='["trade",{"a":1}]')),
    ('42/user,["channel","abc"]', Packet(Type.EVENT, "/user", content='["channel","abc"]')),
    ('4213["foo"]', Packet(Type.EVENT, ack="13", content='["foo"]')),
    ('42/a,13["foo"]', Packet(Type.EVENT, "/a", ack="13", content='["foo"]')),
    ('43/admin,13["bar"]', Packet(Type.ACK, "/admin", ack="13", content='["bar"]')),
    ("4313[]", Packet(Type.ACK, ack="13", content="[]")),
    (f"451-{PLACED}", Packet(Type.BINARY_EVENT, attachments=1, content=PLACED)),
    (
        f"452-/admin,7{TWICE}",
        Packet(Type.BINARY_EVENT, "/admin", attachments=2, ack="7", content=TWICE),
    ),
    (f"461-7{PLACED}", Packet(Type.BINARY_ACK, attachments=1, ack="7", content=PLACED)),
    ('44/nope,"Bad name"', Packet(Type.CONNECT_ERROR, "/nope", content='"Bad name"')),
    ('44{"message":"no"}', Packet(Type.CONNECT_ERROR, content='{"message":"no"}')),
    ("41", Packet(Type.DISCONNECT)),
    ('41{"message":"no"}', Packet(Type.DISCONNECT, content='{"message":"no"}')),
    ("41/admin,", Packet(Type.DISCONNECT, "/admin")),
    ("41/admin", Packet(Type.DISCONNECT, "/admin")),
    ('42["a/b,c?d",1]', Packet(Type.EVENT, content='["a/b,c?d",1]')),
    ('42["",1]', Packet(Type.EVENT, content='["",1]')),
    ('42["\\u00fc\\"",1]', Packet(Type.EVENT, content='["\\u00fc\\"",1]')),
    (f'42{"9" * 5000}["x"]', Packet(Type.EVENT, ack="9" * 5000, content='["x"]')),
]


@pytest.mark.parametrize(("text", "packet"), VECTORS)
def test_a_packet_reads_as_the_protocol_says(text: str, packet: Packet) -> None:
    assert parse(text.removeprefix("4")) == packet


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "9", "x", "٢[]"),
        *('2{"a":1}', "2[]", "2[7]", '2/public["x"]', "2", '2"x"', '2["x"', "2[null]"),
        *('2["x",NaN]', '2["x"]["y"]', '213{"a":1}', '2["\\x"]', "2" + "[" * 100_000),
        *('5["x"]', '5-["x"]', '5x-["x"]', '512345-["x"]', "51-{}"),
        *("3[]", "313", '313{"a":1}', "6[]", "61-[]"),
        *("0[]", '0"x"', "0{", "0x", "013", '0{"sid":1'),
        *("1{", "1[]", "4[", "4x", '4{"message"', "413{}"),
    ],
)
def test_what_the_protocol_does_not_allow_is_no_packet(text: str) -> None:
    with pytest.raises(NotAPacket, match=r"^expected "):
        parse(text)


@given(st.text() | st.text('0123456/,-[]{}"?ab ', max_size=12))
def test_no_text_does_worse_than_being_no_packet(text: str) -> None:
    try:
        packet = parse(text)
    except NotAPacket:
        return
    assert text.startswith(str(packet.type.value))
    assert text.endswith(packet.content)
