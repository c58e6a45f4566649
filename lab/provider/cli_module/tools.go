//go:build tools

// Package tools pins the Pulumi CLI: it is an ordinary Go module, which `make pulumi-cli` builds.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
