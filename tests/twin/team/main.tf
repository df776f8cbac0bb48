# A network that a team has, as it might write it: `guest` comes into it. What a node needs of it is in
# docs/environment.md, "In an existing VPC".
terraform {
  required_version = ">= 1.11.0"
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

locals {
  subnets = { a = "10.43.0.0/24", b = "10.43.1.0/24", c = "10.43.2.0/24" }
}

resource "aws_vpc" "team" {
  cidr_block = "10.43.0.0/16"
  tags       = { Name = "team" }
}

resource "aws_subnet" "private" {
  for_each          = local.subnets
  vpc_id            = aws_vpc.team.id
  cidr_block        = each.value
  availability_zone = "eu-central-1${each.key}"
}

resource "aws_internet_gateway" "team" { vpc_id = aws_vpc.team.id }

resource "aws_subnet" "public" {
  vpc_id            = aws_vpc.team.id
  cidr_block        = "10.43.128.0/24"
  availability_zone = "eu-central-1a"
}

resource "aws_route_table" "public" { vpc_id = aws_vpc.team.id }

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.team.id
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

resource "aws_eip" "nat" { domain = "vpc" }

resource "aws_nat_gateway" "team" {
  subnet_id     = aws_subnet.public.id
  allocation_id = aws_eip.nat.allocation_id
  depends_on    = [aws_internet_gateway.team]
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.team.id
  tags   = { Name = "private", Project = "holdfast", Environment = "guest", ManagedBy = "cdktf" }
}

# A resource of its own: `route` blocks of the table would take away those that it does not list.
resource "aws_route" "private" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.team.id
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

output "vpc" { value = aws_vpc.team.id }
output "subnets" { value = { for letter, subnet in aws_subnet.private : letter => { id = subnet.id, cidr = subnet.cidr_block } } }
output "route_table" { value = aws_route_table.private.id }
