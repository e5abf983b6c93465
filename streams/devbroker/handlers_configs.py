"""Reading and changing the settings of topics. The broker's own are few, and fixed."""

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Final, TypeAlias

from kafka.protocol.admin.configs import (
    AlterConfigsRequest,
    AlterConfigsResponse,
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.routes import Call, Route
from streams.devbroker.topic_configs import TopicConfig
from streams.devbroker.topics import TopicStore

_TOPIC: Final = 2
_BROKER: Final = 4
_SET: Final = 0
_DELETE: Final = 1

_Described: TypeAlias = DescribeConfigsResponse.DescribeConfigsResult
_DescribedValue: TypeAlias = DescribeConfigsResponse.DescribeConfigsResult.DescribeConfigsResourceResult


class _Source(IntEnum):
    """Where a value comes from, as DescribeConfigs tells it."""

    TOPIC = 1
    BROKER = 4
    DEFAULT = 5


class ConfigHandlers:
    """Topic settings on the wire. `broker` are the broker's own settings, to be shown."""

    def __init__(self, topics: TopicStore, broker: Mapping[str, str]) -> None:
        self._topics = topics
        self._broker = broker

    def routes(self) -> Iterable[Route]:
        """The APIs served here."""
        yield Route(DescribeConfigsRequest, 1, 4, self.describe)
        yield Route(AlterConfigsRequest, 0, 2, self.alter)
        yield Route(IncrementalAlterConfigsRequest, 0, 1, self.alter_some)

    async def describe(self, request: DescribeConfigsRequest, _call: Call) -> DescribeConfigsResponse:
        """All settings of each resource, or those named."""
        return DescribeConfigsResponse(throttle_time_ms=0, results=[self._describe(wanted) for wanted in request.resources])

    def _describe(self, wanted: DescribeConfigsRequest.DescribeConfigsResource) -> _Described:
        keys = wanted.configuration_keys
        code, detail, values = ErrorCode.NONE, None, []
        try:
            found = self._values(wanted.resource_type, wanted.resource_name)
            values = [_described(name, value, source) for name, value, source in found if keys is None or name in keys]
        except Refused as refused:
            code, detail = refused.code, refused.detail
        return _Described(
            error_code=code,
            error_message=detail,
            resource_type=wanted.resource_type,
            resource_name=wanted.resource_name,
            configs=values,
        )

    def _values(self, resource_type: int, name: str) -> Iterable[tuple[str, str, _Source]]:
        if resource_type == _BROKER:
            return [(key, value, _Source.BROKER) for key, value in self._broker.items()]
        config = self._config_of(resource_type, name)
        own = config.overrides
        return [(key, value, _Source.TOPIC if key in own else _Source.DEFAULT) for key, value in config.all_values().items()]

    async def alter(self, request: AlterConfigsRequest, _call: Call) -> AlterConfigsResponse:
        """Replace all settings of each topic by those given."""

        def replaced(wanted: AlterConfigsRequest.AlterConfigsResource) -> dict[str, str]:
            self._config_of(wanted.resource_type, wanted.resource_name)
            return {item.name: item.value for item in wanted.configs if item.value is not None}

        return AlterConfigsResponse(throttle_time_ms=0, responses=self._altered(request, AlterConfigsResponse, replaced))

    async def alter_some(self, request: IncrementalAlterConfigsRequest, _call: Call) -> IncrementalAlterConfigsResponse:
        """Set or reset the settings given, and leave the others."""

        def changed(wanted: IncrementalAlterConfigsRequest.AlterConfigsResource) -> dict[str, str]:
            overrides = dict(self._config_of(wanted.resource_type, wanted.resource_name).overrides)
            for item in wanted.configs:
                if item.config_operation == _SET:
                    overrides[item.name] = item.value
                elif item.config_operation == _DELETE:
                    overrides.pop(item.name, None)
                else:
                    raise Refused(ErrorCode.INVALID_REQUEST, "values can be set and deleted, not appended or subtracted")
            return overrides

        responses = self._altered(request, IncrementalAlterConfigsResponse, changed)
        return IncrementalAlterConfigsResponse(throttle_time_ms=0, responses=responses)

    def _altered(
        self,
        request: AlterConfigsRequest,
        response: type[AlterConfigsResponse],
        overrides_for: Callable[[AlterConfigsRequest.AlterConfigsResource], dict[str, str]],
    ) -> list[AlterConfigsResponse.AlterConfigsResourceResponse]:
        results = []
        for wanted in request.resources:
            code, detail = ErrorCode.NONE, None
            try:
                config = TopicConfig.checked(overrides_for(wanted))
                if not request.validate_only:
                    self._topics.topic(wanted.resource_name).config = config
            except Refused as refused:
                code, detail = refused.code, refused.detail
            results.append(
                response.AlterConfigsResourceResponse(
                    error_code=code,
                    error_message=detail,
                    resource_type=wanted.resource_type,
                    resource_name=wanted.resource_name,
                )
            )
        return results

    def _config_of(self, resource_type: int, name: str) -> TopicConfig:
        if resource_type != _TOPIC:
            raise Refused(ErrorCode.INVALID_REQUEST, f"resource type {resource_type}: only topics are configured here")
        return self._topics.topic(name).config


def _described(name: str, value: str, source: _Source) -> _DescribedValue:
    return _DescribedValue(
        name=name,
        value=value,
        read_only=source is _Source.BROKER,
        config_source=source,
        is_default=source is _Source.DEFAULT,
        is_sensitive=False,
        synonyms=[],
        config_type=2,
        documentation=None,
    )
