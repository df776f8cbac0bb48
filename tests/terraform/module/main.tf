terraform {
  required_version = ">= 1.11.0"
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
  backend "local" {}
}

variable "size" { type = number }
variable "description" { type = string }
variable "greeting" { type = string }

data "aws_ami" "debian" {
  owners      = ["136693071363"]
  most_recent = true
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

resource "aws_vpc" "this" {
  cidr_block           = "10.40.0.0/16"
  enable_dns_hostnames = true
}

resource "aws_subnet" "nodes" {
  vpc_id            = aws_vpc.this.id
  cidr_block        = "10.40.16.0/20"
  availability_zone = "eu-central-1b"
}

resource "aws_route_table" "nodes" { vpc_id = aws_vpc.this.id }

resource "aws_route_table_association" "nodes" {
  subnet_id      = aws_subnet.nodes.id
  route_table_id = aws_route_table.nodes.id
}

# A way out, and an overlay address of which the nodes move the route.

resource "aws_subnet" "out" {
  vpc_id            = aws_vpc.this.id
  cidr_block        = "10.40.128.0/20"
  availability_zone = "eu-central-1b"
}

resource "aws_internet_gateway" "this" { vpc_id = aws_vpc.this.id }

resource "aws_eip" "nat" { domain = "vpc" }

resource "aws_nat_gateway" "this" {
  subnet_id     = aws_subnet.out.id
  allocation_id = aws_eip.nat.allocation_id
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.nodes.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this.id
}

resource "aws_route" "overlay" {
  route_table_id         = aws_route_table.nodes.id
  destination_cidr_block = "10.200.0.1/32"
  network_interface_id   = aws_network_interface.node.id
  lifecycle { ignore_changes = [network_interface_id] }
}

resource "aws_route53_zone" "private" {
  name = "kept.holdfast"
  vpc { vpc_id = aws_vpc.this.id }
}

resource "aws_route53_record" "leader" {
  zone_id = aws_route53_zone.private.zone_id
  name    = "leader.kept.holdfast"
  type    = "A"
  ttl     = 5
  records = ["10.40.16.5"]
}

resource "aws_security_group" "nodes" {
  name        = "nodes"
  description = "Nodes"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "endpoints" {
  name        = "endpoints"
  description = "APIs"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "apis" {
  security_group_id            = aws_security_group.endpoints.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.nodes.id
  description                  = var.description
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.nodes.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  description       = var.description
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.eu-central-1.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.nodes.id]
}

resource "aws_vpc_endpoint" "secretsmanager" {
  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.eu-central-1.secretsmanager"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [aws_subnet.nodes.id]
  security_group_ids  = [aws_security_group.endpoints.id]
}

resource "aws_network_interface" "node" {
  subnet_id               = aws_subnet.nodes.id
  security_groups         = [aws_security_group.nodes.id]
  private_ip_list_enabled = true
  private_ip_list         = ["10.40.16.9", "10.40.16.5", "10.40.16.7"]
  source_dest_check       = false
}

resource "aws_instance" "node" {
  ami                         = data.aws_ami.debian.id
  instance_type               = "t3.small"
  availability_zone           = "eu-central-1b"
  monitoring                  = true
  user_data_base64            = base64encode(var.greeting)
  user_data_replace_on_change = false
  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.node.id
  }
  root_block_device {
    volume_type = "gp3"
    iops        = 4000
    throughput  = 250
    encrypted   = true
  }
  metadata_options { http_tokens = "required" }
}

resource "aws_ebs_volume" "data" {
  availability_zone = "eu-central-1b"
  size              = var.size
  type              = "gp3"
  iops              = 4000
  throughput        = 200
  encrypted         = true
}

resource "aws_volume_attachment" "data" {
  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.data.id
  instance_id                    = aws_instance.node.id
  stop_instance_before_detaching = true
}

resource "aws_s3_bucket" "kept" {
  bucket        = "holdfast-kept"
  force_destroy = true
}

resource "aws_s3_bucket_versioning" "kept" {
  bucket = aws_s3_bucket.kept.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_policy" "kept" {
  bucket = aws_s3_bucket.kept.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Deny", Principal = "*", Action = "s3:*",
    Resource  = [aws_s3_bucket.kept.arn, "${aws_s3_bucket.kept.arn}/*"],
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }] })
}

resource "aws_ssm_parameter" "kept" {
  name  = "/holdfast/kept/forwards"
  type  = "String"
  value = "none"
}

ephemeral "aws_secretsmanager_random_password" "app" {
  password_length     = 40
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "app" {
  name                    = "holdfast/kept/app"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "app" {
  secret_id                = aws_secretsmanager_secret.app.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.app.random_password
  secret_string_wo_version = 1
}
