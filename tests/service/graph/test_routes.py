"""The API's routes in one row are those of its routers."""

from fastapi.routing import RouteContext, iter_route_contexts

from dirbridge.service import graph


def _told(route: RouteContext) -> tuple[object, ...]:
    dependencies = [each.dependency for each in route.dependencies]
    return (
        *(route.path, route.methods, route.endpoint, route.name, dependencies, route.include_in_schema),
        *(route.status_code, route.response_model, route.deprecated, route.tags, route.responses),
    )


def test_one_row_has_what_the_routers_have() -> None:
    """Nothing that a route's decorator says is lost, and none comes before another that it stood behind."""
    nested = [_told(each) for each in iter_route_contexts(graph.router().routes)]
    assert [_told(each) for each in iter_route_contexts(graph.routes())] == nested
