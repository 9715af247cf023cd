"""The JSON Schema of a connection file, for editors: completion, allowed values, descriptions."""

from typing import Any

from cloudify_pipeline.settings.models import ConnectionSettings, MappingOptions

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of the whole file, by the names the file uses."""
    schema = ConnectionSettings.model_json_schema(by_alias=True, mode="validation")
    options = MappingOptions.model_json_schema(by_alias=True, mode="validation")
    mapping = {
        "title": "Field mapping",
        "description": "A Stripe path, a list of sources (first non-empty), the long form, or null to remove a pre-mapped one.",
        "anyOf": [{"type": "string"}, {"type": "array"}, {"$ref": "#/$defs/MappingOptions"}, {"type": "null"}],
    }
    schema["$defs"] |= {"MappingOptions": options, "FieldMapping": mapping}
    for section in ("CustomerSettings", "ProductSettings", "InvoiceSettings"):
        fields = schema["$defs"][section]["properties"]["fields"]
        fields["additionalProperties"] = {"$ref": "#/$defs/FieldMapping"}
    return {"$schema": DIALECT, **schema, "title": "Cloudify Pipeline connection"}
