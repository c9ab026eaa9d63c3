"""What a gRPC call costs, beside the same service in Go over Postgres; see ``run``."""
