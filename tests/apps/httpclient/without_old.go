//go:build !go1.21

package main

import "context"

// There is none before Go 1.21.
func withoutCancel(context.Context) context.Context { return nil }
