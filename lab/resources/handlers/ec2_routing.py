"""EC2 routing: tables, routes, and which subnet uses which table."""

from __future__ import annotations

from typing import Any

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, resource_inputs
from lab.resources.handlers.ec2_tags import retag, tag_specification
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import TAGS, TEXT, an_object, list_of, to_aws
from lab.resources.values import Inputs

TARGETS = {
    "egressOnlyGatewayId": TEXT.named("EgressOnlyInternetGatewayId"),
    "gatewayId": TEXT,
    "natGatewayId": TEXT,
    "networkInterfaceId": TEXT,
    "vpcEndpointId": TEXT,
    "vpcPeeringConnectionId": TEXT,
}
DESTINATIONS = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
INLINE_ROUTE = an_object(
    cidrBlock=TEXT.named("DestinationCidrBlock"),
    ipv6CidrBlock=TEXT.named("DestinationIpv6CidrBlock"),
    destinationPrefixListId=TEXT,
    **TARGETS,
)
ROUTE = resource_inputs("routeTableId", routeTableId=TEXT, **dict.fromkeys(DESTINATIONS, TEXT), **TARGETS)


class RouteTable(Handler):
    """A route table, with the routes written into it."""

    type = "aws:ec2/routeTable:RouteTable"
    shape = resource_inputs("vpcId", vpcId=TEXT, routes=list_of(INLINE_ROUTE), tags=TAGS)
    replace_on = frozenset({"vpcId"})

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the table and its routes."""
        table = cloud.client("ec2").create_route_table(
            VpcId=inputs["vpcId"], TagSpecifications=tag_specification("route-table", cloud.tags(inputs))
        )["RouteTable"]["RouteTableId"]
        self._set_routes(cloud, table, [], inputs.get("routes") or [])
        outputs = {
            "arn": cloud.arn("ec2", f"route-table/{table}"),
            "ownerId": cloud.account_id,
            "region": cloud.region,
            "tagsAll": cloud.tags(inputs),
        }
        return Created(table, outputs)

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Exchange routes and tags."""
        self._set_routes(cloud, current.id, current.inputs.get("routes") or [], inputs.get("routes") or [])
        return {"tagsAll": retag(cloud, current, inputs)}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the table."""
        with ignoring_gone():
            cloud.client("ec2").delete_route_table(RouteTableId=current.id)

    def _set_routes(self, cloud: Region, table: str, old: list[Inputs], new: list[Inputs]) -> None:
        ec2 = cloud.client("ec2")
        for route in old:
            if route not in new:
                written = to_aws(INLINE_ROUTE, route)
                destination = {key: value for key, value in written.items() if key.startswith("Destination")}
                ec2.delete_route(RouteTableId=table, **destination)
        for route in new:
            if route not in old:
                ec2.create_route(RouteTableId=table, **to_aws(INLINE_ROUTE, route))


class Route(Handler):
    """One route of a table."""

    type = "aws:ec2/route:Route"
    shape = ROUTE
    replace_on = frozenset({"routeTableId", *DESTINATIONS})
    unique = True

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """One destination, one target."""
        for keys, what in ((DESTINATIONS, "destination"), (tuple(TARGETS), "target")):
            given = [key for key in keys if key in inputs]
            if len(given) != 1:
                raise InvalidInput(f"a route has one {what}, not {len(given)} ({', '.join(keys)})")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the route; its id is made of table and destination."""
        cloud.client("ec2").create_route(**_written(inputs))
        destination = next(inputs[key] for key in DESTINATIONS if key in inputs)
        state = {"origin": "CreateRoute", "state": "active", "region": cloud.region}
        return Created(f"r-{inputs['routeTableId']}_{destination}", state)

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Point the destination at another target."""
        cloud.client("ec2").replace_route(**_written(inputs))
        return {}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the route."""
        written = _written(
            {key: current.inputs[key] for key in ("routeTableId", *DESTINATIONS) if key in current.inputs}
        )
        with ignoring_gone():
            cloud.client("ec2").delete_route(**written)


class RouteTableAssociation(Handler):
    """Which table a subnet uses."""

    type = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    shape = resource_inputs("routeTableId", routeTableId=TEXT, subnetId=TEXT, gatewayId=TEXT)
    replace_on = frozenset({"subnetId", "gatewayId"})

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Associate the subnet."""
        target = {key[0].upper() + key[1:]: inputs[key] for key in ("subnetId", "gatewayId") if key in inputs}
        answer = cloud.client("ec2").associate_route_table(RouteTableId=inputs["routeTableId"], **target)
        return Created(answer["AssociationId"], {"region": cloud.region})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change the table."""
        cloud.client("ec2").replace_route_table_association(
            AssociationId=current.id, RouteTableId=inputs["routeTableId"]
        )
        return {}

    def delete(self, cloud: Region, current: Resource) -> None:
        """End the association."""
        with ignoring_gone():
            cloud.client("ec2").disassociate_route_table(AssociationId=current.id)


class MainRouteTableAssociation(Handler):
    """Which table the subnets of a VPC use that have no association of their own."""

    type = "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation"
    shape = resource_inputs("routeTableId vpcId", routeTableId=TEXT, vpcId=TEXT)
    replace_on = frozenset({"vpcId"})

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Put the table in the place of the one that came with the VPC, which is remembered."""
        original, association = _main_table(cloud, inputs["vpcId"])
        made = self._replace(cloud, association, inputs["routeTableId"])
        return Created(made, {"originalRouteTableId": original, "region": cloud.region})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change the table."""
        _, association = _main_table(cloud, inputs["vpcId"])
        self._replace(cloud, association, inputs["routeTableId"])
        return {"originalRouteTableId": current.outputs["originalRouteTableId"]}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Give the VPC its own table back."""
        with ignoring_gone():
            _, association = _main_table(cloud, current.inputs["vpcId"])
            self._replace(cloud, association, current.outputs["originalRouteTableId"])

    def _replace(self, cloud: Region, association: str, table: str) -> str:
        answer = cloud.client("ec2").replace_route_table_association(AssociationId=association, RouteTableId=table)
        return str(answer["NewAssociationId"])


def _main_table(cloud: Region, vpc: str) -> tuple[str, str]:
    """The VPC's main table, and the id of its association."""
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    (table,) = cloud.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]
    (association,) = [each for each in table["Associations"] if each["Main"]]
    return str(table["RouteTableId"]), str(association["RouteTableAssociationId"])


def _written(inputs: Inputs) -> dict[str, Any]:
    written: dict[str, Any] = to_aws(ROUTE, {key: value for key, value in inputs.items() if key != "region"})
    return written


HANDLERS = (RouteTable(), Route(), RouteTableAssociation(), MainRouteTableAssociation())
