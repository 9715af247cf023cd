"""What a failed step of a run said, in the catalogue's terms."""

import dagster as dg

from cloudify_pipeline.control.outcome import FailedStep


def failed_step(event: dg.DagsterEvent) -> FailedStep:
    """The code and the words of a step's failure; one that nobody foresaw is E-INTERNAL with the innermost error's text."""
    data = event.step_failure_data
    step = str(event.step_key)
    failure = data.user_failure_data
    if failure is not None:
        words = {name: str(value.value) for name, value in failure.metadata.items()}
        return FailedStep(step, words.get("code", "E-SERVER"), words.get("what happened") or failure.description or "failed")
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return FailedStep(step, "E-INTERNAL", (error.message if error else "failed").strip())
