"""Clients that do anything in any order: nothing fails, nothing is lost at QoS 1, and at the end nothing is left."""

import random
from pathlib import Path
from typing import Any

import pytest

from leafward.hub.settings import Limits
from leafward.store.plain_messages import PlainMessageStore
from leafward.wire.mqtt.packets import Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel, Unsubscribe
from leafward.wire.mqtt.properties import Properties
from tests.hub.plain_world import Talker, World

NAMES = ["a", "b", "c", "d"]
FILTERS = ["t/#", "t/1", "t/+", "#", "$share/g/t/#", "$share/g/t/1"]
TOPICS = ["t/1", "t/2", "t/2/x", "u"]


class Chaos:
    """Four clients of both versions, and what each of them still has to answer."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        limits = Limits(plain_inflight=3, queued_messages=1000, retained_messages=3)
        self.world = World(folder, limits=limits)
        self.clients: dict[str, Talker] = {}
        self.owed: dict[str, list[Any]] = {name: [] for name in NAMES}

    def step(self) -> None:
        name = self.dice.choice(NAMES)
        client = self.clients.get(name)
        if client is None or client.wire.ended is not None:
            self.connect(name)
        else:
            act = self.dice.choice(
                [
                    self.publish,
                    self.publish,
                    self.answer,
                    self.answer,
                    self.answer,
                    self.subscribe,
                    self.leave,
                    self.stall,
                ]
            )
            act(client, name)
        if self.dice.random() < 0.1:
            self.world.pass_time(self.dice.choice([0.5, 3]))
        for other, talker in self.clients.items():
            self.owed[other] += talker.inbox()

    def connect(self, name: str) -> None:
        level = self.dice.choice([4, 5])
        properties = None
        if level == 5:
            properties = Properties(
                session_expiry_interval=self.dice.choice([0, 2, 1000]),
                receive_maximum=self.dice.choice([1, 2, 100]),
                topic_alias_maximum=self.dice.choice([0, 1]),
                maximum_packet_size=self.dice.choice([None, 60]),
            )
        self.owed[name] = []
        self.clients[name] = self.world.client(name, level, clean=self.dice.random() < 0.3, properties=properties)

    def publish(self, client: Talker, name: str) -> None:
        properties = None
        if client.level == 5 and self.dice.random() < 0.5:
            properties = Properties(message_expiry_interval=self.dice.choice([None, 1, 100]), content_type="x")
        payload = bytes(self.dice.choice([0, 5, 100]))
        self.owed[name] += client.publish(
            self.dice.choice(TOPICS),
            payload,
            qos=self.dice.randrange(3),
            retain=self.dice.random() < 0.2,
            properties=properties,
        )

    def subscribe(self, client: Talker, name: str) -> None:
        text = self.dice.choice(FILTERS)
        if self.dice.random() < 0.5:
            self.owed[name] += client.say(Unsubscribe(client.next_id(), (text,)))
        elif not any(isinstance(packet, Publish) for packet in self.owed[name]):
            client.subscribe(text, qos=self.dice.randrange(3), identifier=3 if client.level == 5 else None)

    def leave(self, client: Talker, name: str) -> None:
        if self.dice.random() < 0.5:
            client.drop()
        else:
            client.say(Disconnect())

    def stall(self, client: Talker, name: str) -> None:
        client.wire.writable = not client.wire.writable
        if client.wire.writable:
            client.conversation.writable_again()

    def answer(self, client: Talker, name: str) -> None:
        if not self.owed[name]:
            return
        packet = self.owed[name].pop(0)
        answer: Any = None
        if isinstance(packet, Publish) and packet.packet_id:
            answer = Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id)
        elif isinstance(packet, Pubrel):
            answer = Pubcomp(packet.packet_id)
        elif isinstance(packet, Pubrec) and packet.reason < 0x80:
            answer = Pubrel(packet.packet_id)
        if answer is not None:
            self.owed[name] += client.say(answer)


@pytest.mark.parametrize("seed", range(12))
def test_anything_in_any_order(tmp_path: Path, seed: int) -> None:
    """300 steps; then every session ends: no bytes are counted, no subscription, no row is left."""
    chaos = Chaos(tmp_path, seed)
    for _ in range(300):
        chaos.step()
        for client in chaos.clients.values():
            assert client.wire.ended not in {"protocol-error", "internal-error", "failed"}
    world = chaos.world
    for name in NAMES:
        world.client(name, 4, clean=True).say(Disconnect())
    world.thread.turn()
    assert world.broker.room.used == 0
    assert world.plain.exchange.subscriptions == 0
    with PlainMessageStore.open(tmp_path / "plain.db") as store:
        assert (store.messages(), store.waiting()) == ({}, [])
        assert len(store.retained()) == world.metrics.measured["retained_messages"]()
    world.close()
