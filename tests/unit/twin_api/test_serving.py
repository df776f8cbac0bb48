"""One request at a time, whichever server of the process it reaches: moto's state is the process's."""

from __future__ import annotations

import threading

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import REGION


def test_a_server_waits_for_what_another_one_is_doing() -> None:
    entered, released, answered = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert released.wait(10)

    busy, other = Api(port=0, region=REGION, on_change=hold), Api(port=0, region=REGION)
    changing = threading.Thread(target=busy.put_parameter, args=("/holdfast/test", "value"))
    looking = threading.Thread(target=lambda: (other.view(), answered.set()))
    changing.start()
    assert entered.wait(10)
    looking.start()
    assert not answered.wait(0.3)
    released.set()
    assert answered.wait(10)
    changing.join()
    looking.join()
