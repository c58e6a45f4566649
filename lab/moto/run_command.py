"""Systems Manager as far as the operator's program uses it, where moto answers at once without running anything.

An instance is managed while an agent of its own asks for work here; until then SendCommand refuses it, as at AWS. What
is sent waits until that agent has taken it, run it and told how it ended. StartSession hands out a session which the
lab's stand-in for the Session Manager plugin carries out.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

WORK_PATH = "/moto-api/openclaw-lab/commands"
MANAGED_SECONDS = 15.0
"""An agent that has not asked for so long is gone."""
MOST_OUTPUT = 24_000
"""Characters that GetCommandInvocation returns of each stream (its API reference)."""


def run_commands_for_real() -> None:
    """Replace moto's answers; call once, before the server starts."""
    from moto.core.responses import ActionResult
    from moto.moto_api._internal import urls
    from moto.ssm.exceptions import SSMException
    from moto.ssm.models import SimpleSystemManagerBackend
    from moto.ssm.responses import SimpleSystemManagerResponse

    asked: dict[str, float] = {}
    waiting: list[dict[str, Any]] = []
    invocations: dict[tuple[str, str], dict[str, Any]] = {}
    send = SimpleSystemManagerBackend.send_command

    def require_managed(instance_id: str, code: str) -> None:
        if time.monotonic() - asked.get(instance_id, -MANAGED_SECONDS) >= MANAGED_SECONDS:
            raise SSMException(code, f"Instances [[{instance_id}]] not in a valid state for account")

    def send_command(self: Any, **arguments: Any) -> Any:
        for instance_id in arguments["instance_ids"]:
            require_managed(instance_id, "InvalidInstanceId")
        command = send(self, **arguments)
        command.status = command.status_details = "Pending"
        for invocation in command.invocations:
            invocation.update(Status="Pending", StatusDetails="Pending", ResponseCode=-1)
            script = "\n".join(command.parameters.get("commands", []))
            invocations[command.command_id, invocation["InstanceId"]] = invocation
            waiting.append({"command": command.command_id, "instance": invocation["InstanceId"], "script": script})
        return command

    def start_session(self: Any) -> Any:
        require_managed(self._get_param("Target"), "TargetNotConnected")
        session = f"lab-{uuid.uuid4()}"
        stream = f"wss://ssmmessages.{self.region}.amazonaws.com/v1/data-channel/{session}"
        return ActionResult({"SessionId": session, "TokenValue": uuid.uuid4().hex, "StreamUrl": stream})

    def work(request: Any, _full_url: str, _headers: Any) -> tuple[int, dict[str, str], str]:
        document = json.loads(request.data)
        for instance_id in document["instances"]:
            asked[instance_id] = time.monotonic()
        for ended in document["ended"]:
            status = "Failed" if ended["code"] else "Success"
            invocations[ended["command"], ended["instance"]].update(
                Status=status,
                StatusDetails=status,
                ResponseCode=ended["code"],
                StandardOutputContent=ended["out"][:MOST_OUTPUT],
                StandardErrorContent=ended["err"][:MOST_OUTPUT],
            )
        mine = [row for row in waiting if row["instance"] in document["instances"]]
        for row in mine:
            waiting.remove(row)
            invocations[row["command"], row["instance"]].update(Status="InProgress", StatusDetails="InProgress")
        return 200, {}, json.dumps(mine)

    SimpleSystemManagerBackend.send_command = send_command  # type: ignore[assignment,method-assign]
    SimpleSystemManagerResponse.start_session = start_session  # type: ignore[attr-defined]
    urls.url_paths[f"{{0}}{WORK_PATH}"] = work  # type: ignore[assignment]  # typed by moto as its own handlers
