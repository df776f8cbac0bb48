"""One request at a time, whichever server of the process it reaches: moto's state is the process's."""

from __future__ import annotations

import threading
from typing import Any

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import REGION, Cloud, client, refused


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


def test_a_server_that_stops_answers_first_whom_it_is_serving() -> None:
    """A call that was carried out and has no answer is made again by Terraform, and fails the second time."""
    entered, released, stopped = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert released.wait(10)

    api = Api(port=0, region=REGION, on_change=hold)
    api.start()
    created: list[str] = []
    ec2 = client(api, "ec2")
    calling = threading.Thread(target=lambda: created.append(ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]))
    calling.start()
    assert entered.wait(10)
    stopping = threading.Thread(target=lambda: (api.stop(), stopped.set()))
    stopping.start()
    assert not stopped.wait(0.5)
    released.set()
    assert stopped.wait(10)
    calling.join(10)
    assert len(created) == 1
    stopping.join()


def test_a_call_whose_answer_was_lost_is_not_carried_out_twice(api: Api) -> None:
    """Terraform repeats it, under the same id: a rule that was made was refused then, as one that exists already."""
    ec2, ids = client(api, "ec2"), iter(["one", "one", "two"])
    attempts = iter(["attempt=1; max=25", "attempt=2; max=25", "attempt=1; max=25"])

    def as_terraform(request: Any, **_: Any) -> None:
        for header, values in (("amz-sdk-invocation-id", ids), ("amz-sdk-request", attempts)):
            request.headers[header] = next(values)

    group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=Cloud(api).vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2.meta.events.register("before-send.ec2.AuthorizeSecurityGroupIngress", as_terraform)

    def authorize() -> Any:
        return ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])

    made = authorize()["SecurityGroupRules"]
    assert authorize()["SecurityGroupRules"] == made
    assert refused(authorize) == "InvalidPermission.Duplicate"
