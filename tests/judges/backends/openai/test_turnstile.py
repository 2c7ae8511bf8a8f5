import asyncio

from judges.backends.openai.turnstile import Turnstile


def test_no_more_than_the_limit_are_inside_at_once():
    async def crowd():
        turnstile, inside, most = Turnstile(5), 0, 0

        async def visitor():
            nonlocal inside, most
            await turnstile.enter()
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            turnstile.leave()

        await asyncio.gather(*(visitor() for _ in range(40)))
        return most

    assert asyncio.run(crowd()) == 5


def test_every_refusal_lowers_the_limit_and_successes_raise_it():
    turnstile = Turnstile(64)
    for _ in range(61):
        turnstile.overload()
    assert turnstile.limit == 3
    for _ in range(100):
        turnstile.overload()
    assert turnstile.limit == 1
    for _ in range(2000):
        turnstile.success()
    assert turnstile.limit == 64


def test_a_refusal_now_and_then_leaves_the_limit_high():
    turnstile = Turnstile(128)
    for k in range(10_000):
        turnstile.overload() if k % 50 == 0 else turnstile.success()
    assert turnstile.limit > 90


def test_one_who_leaves_the_line_does_not_take_the_turn_along():
    async def crowd():
        turnstile = Turnstile(1)
        await turnstile.enter()
        impatient, patient = (asyncio.create_task(turnstile.enter()) for _ in range(2))
        await asyncio.sleep(0)
        turnstile.leave()  # wakes the first in the line ...
        impatient.cancel()  # ... who goes away in the same moment
        await asyncio.wait_for(patient, 5)
        return impatient.cancelled()

    assert asyncio.run(crowd())
