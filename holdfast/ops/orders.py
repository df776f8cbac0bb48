"""Orders to nodes: objects in the environment's bucket, which a node obeys and answers in its report."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.topology import Environment, names

Give = Callable[[Mapping[str, str | None]], str]
"""Takes what the order says, and returns its id."""


@contextmanager
def giving(environment: Environment, key: str, doing: str) -> Iterator[Give]:
    """What gives an order under that key, in place of the last one, and returns its id. In the end none is left there.

    Raises:
        CloudError: the API refused, while somebody was `doing` this.
    """
    s3, bucket = cloud.client(environment, "s3"), names.bucket(environment)

    def give(content: Mapping[str, str | None]) -> str:
        order_id = str(uuid.uuid4())
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({"id": order_id, **content}).encode())
        return order_id

    try:
        try:
            yield give
        finally:
            s3.delete_object(Bucket=bucket, Key=key)
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, doing, error) from None
